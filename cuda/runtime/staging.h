// Copies between a card and memory of the host that may be any, by way of pinned memory: the host is kept for as long
// as it reads or writes its own memory, and not until the card is done.
#pragma once

#include "cuda/runtime/pinned.h"
#include "cuda/runtime/stream.h"

namespace galvan {

class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // At the end of the stream; when it returns, `from` has been read.
  void to_card(void* to, const void* from, size_t bytes, cudaStream_t stream);
  // When it returns, `to` has been written: it waits for the stream.
  void to_host(void* to, const void* from, size_t bytes, cudaStream_t stream);

 private:
  static constexpr size_t kBytes = size_t{1} << 20;

  // One is copied while the other is filled or emptied.
  struct Part {
    Pinned<char> memory{kBytes};
    Event copied;
  };
  Part parts_[2];
  size_t next_ = 0;
};

}  // namespace galvan
