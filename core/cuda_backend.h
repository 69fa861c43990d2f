// What core asks of the CUDA backend. cuda/runtime/backend.cpp defines it, in builds that have one; core sees
// nothing else of CUDA.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/allocator.h"
#include "core/device.h"
#include "core/dtype.h"

struct CUstream_st;

namespace galvan::cuda_backend {

// Why no card can be used ("no CUDA-capable device is detected", "the driver supports CUDA 12.2, this build needs
// 13.0"), or "".
std::string unavailable();

struct Card {
  std::string name;
  int64_t memory = 0;        // bytes
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int shared_memory = 0;        // bytes that a block may have
  int driver = 0, runtime = 0;  // the CUDA that each supports, 13000 for 13.0
  bool simulated = false;
};
Card card(Device device);

// Floating-point operations per second of a large matrix product, and bytes per second, read and written, of a large
// copy; 0 for a simulated card, where time means nothing.
double measure_matmul_flops(Device device, DType dtype);
double measure_copy_bandwidth(Device device);

// Whether f32 matrix products may round their operands to TF32, 10 bits of fraction; off at first.
void set_tf32(bool on);
// What has computed the matrix products so far, a line for each kind of product: the bits of a run depend on it.
std::vector<std::string> matmul_algorithms();

// The memory of a card. Throws Error "cuda:0: ..." with the reason when there is none that can be used.
CachingAllocator& allocator(Device device);

// The stream at whose end a device's kernels are put: one for all of them, so that memory which is freed and given
// out again needs no waiting.
CUstream_st* stream(Device device);

// Copies bytes between the host and a card, in the order of its stream. When it returns, host memory has been read or
// written.
void copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes);

// A kernel as it was launched: what is known of it without a clock.
struct LaunchFacts {
  std::string kernel;  // "cublasLt" for a library's
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  int64_t shared_bytes = 0;  // of a block, with those that the kernel's code declares
  int registers = 0;         // of a thread; of the simulator the instance's that needs most; 0: not known
  double occupancy = 0;      // of a multiprocessor's threads, how many have room; 0: not known
  // The simulator's counts (cuda/sim/counts.h), where it checks every access.
  bool counted = false;
  int64_t bytes_read = 0, bytes_written = 0;  // that differ: what a perfect cache would fetch and write back
  int64_t sectors = 0, shared_transactions = 0, bank_conflicts = 0, barriers = 0;
};
// Of what a function puts on the stream, which it does not wait for. On the simulated card it runs, on another it is only
// recorded.
std::vector<LaunchFacts> launches_of(Device device, const std::function<void()>& body);

// Seconds of what a function puts on the stream: by events around a graph of it, which has it several times where it takes
// less than 100 microseconds. Each of `samples` is warm (right after another) and cold (after more has been written than
// the card's cache holds). `clock` is how many cycles a second the card made right after; 0 for a simulated one.
struct CardTimes {
  std::vector<double> warm, cold;
  double clock = 0;
};
CardTimes time_on_card(Device device, const std::function<void()>& body, int samples);

// What a function would have put on a device's stream, operation by operation (cuda/runtime/recorder.h).
class Recording;
// Calls `body` and records what it would put on the stream; nothing of it runs.
std::shared_ptr<const Recording> record(const std::function<void()>& body);
// Calls `body` as record() does, but what it puts on the stream runs: with the kernels that a recording will have.
void run_once(const std::function<void()>& body);
// Whether both are the same operations, on data and with numbers of their own.
bool match(const Recording& a, const Recording& b);

// For profiles: ranges within one another of what the host does, which NVIDIA's tools show (NVTX); nothing in the
// simulator.
void push_range(const char* name);
void pop_range();

// Points in a device's stream, for their times.
class Marks {
 public:
  struct Parts;
  explicit Marks(Device device);
  ~Marks();
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  void mark();
  // From the first mark to each, by the card's clock; waits until all have been passed.
  std::vector<double> seconds() const;

 private:
  std::unique_ptr<Parts> parts_;
};

// What has been put on a device's stream, to be put there again.
class Graph {
 public:
  struct Parts;
  explicit Graph(std::unique_ptr<Parts> parts);
  Graph(Graph&&) noexcept;
  ~Graph();
  void launch() const;
  // The names of its kernels, in the order in which they were put there; "cublasLt" for one of its kernels, "copy" and
  // "fill" for those.
  std::vector<std::string> operations() const;
  // The kernels among them; not of a simulated card, which launches_of() knows more of.
  std::vector<LaunchFacts> launches() const;

 private:
  std::unique_ptr<Parts> parts_;
};
// Calls `body` and captures what it puts on the stream; nothing of it runs.
Graph capture(Device device, const std::function<void()>& body);
// Recordings that match, side by side: what can be one launch for all of them is.
Graph join(Device device, const std::vector<std::shared_ptr<const Recording>>& recordings);

}  // namespace galvan::cuda_backend
