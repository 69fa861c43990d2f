#include "cuda/runtime/stream.h"

#include "cuda/runtime/check.h"
#include "cuda/runtime/workspace.h"

namespace galvan {

Stream::Stream() { GALVAN_CUDA_CALL(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
Stream::~Stream() {
  release_workspace(stream_);
  cudaStreamDestroy(stream_);
}
void Stream::synchronize() const { GALVAN_CUDA_CALL(cudaStreamSynchronize(stream_)); }

Event::Event() { GALVAN_CUDA_CALL(cudaEventCreateWithFlags(&event_, cudaEventDefault)); }
Event::~Event() { cudaEventDestroy(event_); }
void Event::record(cudaStream_t stream) const { GALVAN_CUDA_CALL(cudaEventRecord(event_, stream)); }
void Event::synchronize() const { GALVAN_CUDA_CALL(cudaEventSynchronize(event_)); }
float Event::since(const Event& begin) const {
  synchronize();
  float milliseconds = 0;
  GALVAN_CUDA_CALL(cudaEventElapsedTime(&milliseconds, begin.event_, event_));
  return milliseconds;
}

}  // namespace galvan
