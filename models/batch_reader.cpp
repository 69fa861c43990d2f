#include "models/batch_reader.h"

#include "core/kernels.h"

namespace galvan {

BatchReader::BatchReader(const TokenArray& tokens, const BatchWindows& windows, Device device)
    : tokens_(tokens), windows_(windows) {
  const TensorOptions whole{.dtype = DType::i32, .device = device};
  inputs_ = Tensor::zeros({windows.batch_size, windows.context}, whole);
  targets_ = Tensor::zeros({windows.batch_size, windows.context}, whole);
  if (device.is_cpu()) return;
  std::vector<int32_t> range(static_cast<size_t>(windows.size));
  tokens.read(windows.begin, range);
  text_ = Tensor::from(range, {windows.size}, whole);
  windows_.begin = 0;
}

void BatchReader::read(const int64_t* step, int64_t micro_step) {
  if (text_.defined()) {
    const auto* const text = text_.data<int32_t>();  // of which a profile is to see no more than the batch
    dispatch<"index">(text_, [&]<class>(auto on) {
      read_batch(on, windows_, step, micro_step, text, inputs_.data<int32_t>(), targets_.data<int32_t>());
    });
    return;
  }
  const auto T = static_cast<size_t>(windows_.context);
  for (int64_t row = 0; row < windows_.batch_size; ++row) {
    const int64_t start = windows_.start(*step, micro_step, row);
    const auto place = [&](const Tensor& x) {
      return std::span(x.data<int32_t>() + row * windows_.context, T);
    };
    tokens_.read(start, place(inputs_));
    tokens_.read(start + 1, place(targets_));
  }
}

}  // namespace galvan
