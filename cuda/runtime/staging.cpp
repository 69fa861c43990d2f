#include "cuda/runtime/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/runtime/check.h"

namespace galvan {
namespace {

// A replayed copy would find other bytes in the pinned memory.
void check_not_captured(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  GALVAN_CUDA_CALL(cudaStreamIsCapturing(stream, &status));
  check(status == cudaStreamCaptureStatusNone,
        "cuda: a copy between the host and the card cannot be captured in a graph");
}

char* offset_by(void* data, size_t bytes) { return static_cast<char*>(data) + bytes; }
const char* offset_by(const void* data, size_t bytes) { return static_cast<const char*>(data) + bytes; }

}  // namespace

void Staging::to_card(void* to, const void* from, size_t bytes, cudaStream_t stream) {
  check_not_captured(stream);
  for (size_t at = 0; at < bytes; at += kBytes) {
    const size_t size = std::min(kBytes, bytes - at);
    Part& part = parts_[next_++ % 2];
    part.copied.synchronize();  // the last copy from it is over
    std::memcpy(part.memory.data(), offset_by(from, at), size);
    GALVAN_CUDA_CALL(
        cudaMemcpyAsync(offset_by(to, at), part.memory.data(), size, cudaMemcpyHostToDevice, stream));
    part.copied.record(stream);
  }
}

void Staging::to_host(void* to, const void* from, size_t bytes, cudaStream_t stream) {
  check_not_captured(stream);
  const size_t count = (bytes + kBytes - 1) / kBytes, first = next_;
  next_ += count;
  for (size_t i = 0; i <= count; ++i) {
    if (i < count) {
      Part& part = parts_[(first + i) % 2];
      part.copied.synchronize();
      GALVAN_CUDA_CALL(cudaMemcpyAsync(part.memory.data(), offset_by(from, i * kBytes),
                                       std::min(kBytes, bytes - i * kBytes), cudaMemcpyDeviceToHost, stream));
      part.copied.record(stream);
    }
    if (i == 0) continue;
    const Part& before = parts_[(first + i - 1) % 2];
    before.copied.synchronize();
    const size_t at = (i - 1) * kBytes;
    std::memcpy(offset_by(to, at), before.memory.data(), std::min(kBytes, bytes - at));
  }
}

}  // namespace galvan
