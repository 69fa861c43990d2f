// What the simulated card has been asked to do, and what of it has happened: the streams behind cuda_runtime.h.
//
// A stream is a queue. What is put at its end runs as late as it may: when the host waits for it, on the host's own
// thread. Whoever relies on more than that is wrong on a card too, and gets wrong results here. Clocks (watch.h) say
// what is over before an operation starts, however the streams run; races are what they do not order.
//
//   streams.cpp     streams and events     copies.cpp   memory, copies and fills     graphs.cpp   recorded streams
//   launch.cpp      kernels                card.cpp     properties                   errors.cpp   what has gone wrong
//
// All that is here is used with the_lock held.
#pragma once

#include <cuda_runtime.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cuda/sim/watch.h"

namespace galvan::sim {

using Work = std::function<void(const Operation&)>;

}  // namespace galvan::sim

struct CUgraphNode_st {
  cudaGraphNodeType type;
  const char* kernel;  // of a launch; null: a library's
  galvan::sim::Work work;
};
struct CUgraph_st {
  std::vector<CUgraphNode_st> nodes;
};
struct CUgraphExec_st {
  std::vector<CUgraphNode_st> nodes;
};
struct CUstream_st {
  struct Queued {
    galvan::sim::Work work;
    std::shared_ptr<const galvan::sim::Clock> after;
  };
  size_t number = 0;
  std::deque<Queued> queue;
  uint64_t appended = 0, finished = 0;
  galvan::sim::Clock after;  // what has ended before whatever is appended from now on starts
  std::unique_ptr<CUgraph_st> capture;
};
struct CUevent_st {
  cudaStream_t stream = nullptr;
  uint64_t position = 0;     // of the stream: the event is over when so much of it has finished
  galvan::sim::Clock after;  // what has ended then
  std::chrono::steady_clock::time_point time;
};

namespace galvan::sim {

inline std::recursive_mutex the_lock;
inline Clock host_after;  // what the host knows to have ended
inline std::vector<cudaStream_t> streams;

// --- errors ---
inline cudaError_t last_error = cudaSuccess;
inline std::string sticky_error;  // what a kernel did wrong: every later call fails, as on a real card
// The call's result: remembered if it is an error.
cudaError_t set(cudaError_t error);
// Success, or that something has gone wrong on the card.
cudaError_t state();

// --- the order of things ---
// What either of them says has ended has ended.
void join(Clock& clock, const Clock& other);
void join(Clock& clock, size_t stream, uint64_t position);

// Puts it at the stream's end, or into the graph that is being recorded there.
cudaError_t append(cudaStream_t stream, cudaGraphNodeType type, Work work, const char* kernel = nullptr);
// Runs what the stream has been given, up to this position; all streams, to their ends.
void drain(cudaStream_t stream, uint64_t position);
cudaError_t drain_all();
// The host waits for all that the stream has been given, for the event, for everything.
void wait(cudaStream_t stream);
void wait(cudaEvent_t event);
cudaError_t wait_for_all();

// What belongs to no stream: a copy or fill that has ended when the call returns, and one that is under way then and
// for which no stream waits.
cudaError_t run_at_once(const Work& work);
cudaError_t run_late(Work work);

}  // namespace galvan::sim
