// Streams and events that clean up after themselves.
#pragma once

#include <cuda_runtime.h>

namespace galvan {

class Stream {
 public:
  Stream();  // waits for no other stream, not even the default one
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  operator cudaStream_t() const { return stream_; }
  void synchronize() const;

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  operator cudaEvent_t() const { return event_; }
  void record(cudaStream_t stream) const;
  void synchronize() const;
  // Milliseconds from `begin` to this event; waits for it.
  float since(const Event& begin) const;

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace galvan
