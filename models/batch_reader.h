// Batches as tensors [B, T] where the model is: on the CPU they are read out of the token array, a card reads them
// out of a copy of its own, so that a step which is replayed there draws its batch by itself.
#pragma once

#include "core/tensor.h"
#include "models/dataset.h"

namespace galvan {

class BatchReader {
 public:
  // On a card this copies the windows' range of tokens there, 4 bytes a token. The token array must outlive this.
  BatchReader(const TokenArray& tokens, const BatchWindows& windows, Device device);

  // Fills inputs() and targets() with the batch of step *step, which lies in the device's memory; targets are the
  // inputs one token on. Does not wait for the device.
  void read(const int64_t* step, int64_t micro_step);

  const Tensor& inputs() const { return inputs_; }    // [B, T] i32
  const Tensor& targets() const { return targets_; }  // [B, T] i32

 private:
  const TokenArray& tokens_;
  BatchWindows windows_;
  Tensor text_;  // the range of tokens, on a card
  Tensor inputs_, targets_;
};

}  // namespace galvan
