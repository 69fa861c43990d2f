// The simulated card's streams and events.
#include <cuda_runtime.h>

#include "cuda/sim/timeline.h"

using namespace galvan::sim;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(the_lock);
  static size_t numbers = 0;
  *stream = new CUstream_st;
  (*stream)->number = ++numbers;
  streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  wait(stream);
  std::erase(streams, stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  if (!stream) return set(cudaErrorInvalidResourceHandle);
  if (stream->capture) return set(cudaErrorStreamCaptureUnsupported);
  wait(stream);
  return state();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  if (state() != cudaSuccess) return state();
  if (stream->finished != stream->appended) return cudaErrorNotReady;
  wait(stream);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(the_lock);
  return wait_for_all();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(the_lock);
  if (!event->stream) return cudaSuccess;
  if (!stream->capture) join(stream->after, event->after);
  return append(
      stream, cudaGraphNodeTypeWaitEvent,
      [other = event->stream, position = event->position](const Operation&) { drain(other, position); });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(the_lock);
  wait(event);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  const cudaError_t error = append(stream, cudaGraphNodeTypeEventRecord, [event](const Operation&) {
    event->time = std::chrono::steady_clock::now();
  });
  event->stream = stream;
  event->position = stream->appended;
  event->after = stream->after;
  join(event->after, stream->number, stream->appended);
  return error;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(the_lock);
  wait(event);
  return state();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(the_lock);
  if (state() != cudaSuccess) return state();
  if (event->stream && event->stream->finished < event->position) return cudaErrorNotReady;
  wait(event);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const std::lock_guard lock(the_lock);
  for (const cudaEvent_t event : {begin, end}) {
    if (!event->stream) return set(cudaErrorInvalidResourceHandle);
    if (event->stream->finished < event->position) return set(cudaErrorNotReady);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return state();
}
