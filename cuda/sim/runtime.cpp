// The simulated card behind cuda_runtime.h: its properties and memory, streams, events and graphs.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/parallel.h"
#include "cuda/sim/block.h"
#include "cuda/sim/launch.h"
#include "cuda/sim/limits.h"
#include "cuda/sim/memory.h"
#include "cuda/sim/watch.h"

using galvan::concat;
using galvan::sim::Clock;
using galvan::sim::is_device_address;
using galvan::sim::is_pinned;
using galvan::sim::Operation;
using galvan::sim::watching;
using Work = std::function<void(const Operation&)>;

struct CUgraphNode_st {
  cudaGraphNodeType type;
  const char* kernel;  // of a launch; null: a library's
  Work work;
};
struct CUgraph_st {
  std::vector<CUgraphNode_st> nodes;
};
struct CUgraphExec_st {
  std::vector<CUgraphNode_st> nodes;
};
struct CUstream_st {
  struct Queued {
    Work work;
    std::shared_ptr<const Clock> after;
  };
  size_t number = 0;
  std::deque<Queued> queue;
  uint64_t appended = 0, finished = 0;
  Clock after;  // what has ended before whatever is appended from now on starts
  std::unique_ptr<CUgraph_st> capture;
};
struct CUevent_st {
  cudaStream_t stream = nullptr;
  uint64_t position = 0;  // of the stream: the event is over when so much of it has finished
  Clock after;            // what has ended then
  std::chrono::steady_clock::time_point time;
};

namespace {

std::recursive_mutex the_lock;
cudaError_t last_error = cudaSuccess;
std::string sticky_error;  // what a kernel did wrong: every later call fails, as on a real card

Clock host_after;  // what the host knows to have ended
uint64_t host_copies = 0;

// Both have ended.
void join(Clock& clock, const Clock& other) {
  clock.resize(std::max(clock.size(), other.size()));
  for (size_t s = 0; s < other.size(); ++s) clock[s] = std::max(clock[s], other[s]);
}
void join(Clock& clock, size_t stream, uint64_t position) {
  clock.resize(std::max(clock.size(), stream + 1));
  clock[stream] = std::max(clock[stream], position);
}

cudaError_t set(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t state() { return sticky_error.empty() ? cudaSuccess : set(cudaErrorLaunchFailure); }

// What goes wrong stays: see sticky_error.
void run(const Operation& operation, const Work& work) {
  if (!sticky_error.empty()) return;
  try {
    work(operation);
  } catch (const std::exception& problem) {
    sticky_error = problem.what();
  }
}

void drain(cudaStream_t stream, uint64_t position) {
  while (stream->finished < position && !stream->queue.empty()) {
    const CUstream_st::Queued next = std::move(stream->queue.front());
    stream->queue.pop_front();
    run({.stream = stream->number, .position = ++stream->finished, .after = next.after}, next.work);
  }
}

cudaError_t append(cudaStream_t stream, cudaGraphNodeType type, Work work, const char* kernel = nullptr) {
  if (!stream)
    return set(cudaErrorInvalidResourceHandle);  // the default stream would wait for all the others
  if (stream->capture) {
    stream->capture->nodes.push_back({type, kernel, std::move(work)});
  } else {
    join(stream->after, host_after);
    stream->queue.push_back({std::move(work), std::make_shared<Clock>(stream->after)});
    ++stream->appended;
  }
  return state();
}

std::vector<cudaStream_t>& streams() {
  static std::vector<cudaStream_t> all;
  return all;
}

cudaError_t drain_all() {
  for (const cudaStream_t stream : streams()) {
    if (stream->capture) return set(cudaErrorStreamCaptureUnsupported);
    drain(stream, stream->appended);
  }
  return state();
}

// The host waits for all that the stream has been given.
void wait(cudaStream_t stream) {
  drain(stream, stream->appended);
  join(host_after, stream->after);
  join(host_after, stream->number, stream->appended);
}

void wait(cudaEvent_t event) {
  if (!event->stream) return;
  drain(event->stream, event->position);
  join(host_after, event->after);
}

// Copies to the card that are under way when their calls have returned; streams do not wait for them.
struct Late {
  uint64_t position;
  std::shared_ptr<const Clock> after;
  Work work;
};
std::vector<Late> late;

void arrive() {
  for (const Late& copy : std::exchange(late, {})) {
    run({.position = copy.position, .after = copy.after}, copy.work);
    join(host_after, 0, copy.position);
  }
}

// A copy or fill that has ended when the call returns, and waits for no stream that does not wait for it.
cudaError_t run_at_once(const Work& work) {
  const std::lock_guard lock(the_lock);
  if (const cudaError_t error = drain_all(); error != cudaSuccess) return error;
  arrive();
  run({.position = ++host_copies, .after = std::make_shared<Clock>(host_after)}, work);
  join(host_after, 0, host_copies);
  return state();
}

// Copies and fills of the card's memory are checked like a kernel's accesses.
void check_range(const char* what, const void* address, size_t bytes) {
  std::string where;
  if (is_device_address(address) && !galvan::sim::is_device_range(address, bytes, &where))
    galvan::fail(what, " of ", bytes, " bytes: ", where);
}

void copy_bytes(Operation operation, void* to, const void* from, size_t bytes) {
  check_range("cudaMemcpy to the card", to, bytes);
  check_range("cudaMemcpy from the card", from, bytes);
  operation.name = "cudaMemcpy";
  if (watching()) watching()->copy(operation, to, from, bytes);
  std::memcpy(to, from, bytes);
}

// The pinned memory of a copy that is queued, for as long as it is.
struct PinnedUse {
  const char* begin;
  size_t bytes;
  bool
      is_shared;  // with a copy that was queued before: the stream's order holds, and the host has no part in it
};
std::shared_ptr<const PinnedUse> use_pinned(const void* memory, size_t bytes) {
  static std::vector<std::weak_ptr<const PinnedUse>> all;  // under the_lock
  std::erase_if(all, [](const auto& use) { return use.expired(); });
  const auto* const begin = static_cast<const char*>(memory);
  const bool is_shared = std::any_of(all.begin(), all.end(), [&](const auto& weak) {
    const auto use = weak.lock();
    return use && begin < use->begin + use->bytes && use->begin < begin + bytes;
  });
  const auto use = std::make_shared<const PinnedUse>(PinnedUse{begin, bytes, is_shared});
  all.push_back(use);
  return use;
}

// What the host's pinned memory was when a copy was asked for, and is when it happens.
void check_unchanged(const char* memory, const std::vector<char>& before) {
  const auto [now, then] = std::mismatch(memory, memory + before.size(), before.begin());
  if (then != before.end())
    galvan::fail("cudaMemcpy: byte ", then - before.begin(),
                 " of the pinned memory that it reads has been written since the copy was asked for");
}

void fill_bytes(Operation operation, void* to, int value, size_t bytes) {
  check_range("cudaMemset", to, bytes);
  operation.name = "cudaMemset";
  if (watching()) watching()->fill(operation, to, bytes);
  std::memset(to, value, bytes);
}

}  // namespace

namespace galvan::sim {

std::string short_kernel_name(std::string_view pretty_function) {
  const std::string_view before = "kKernel = ";
  const size_t begin = pretty_function.find(before) + before.size();
  const size_t end = std::min(pretty_function.find("; ", begin), pretty_function.rfind(']'));
  std::string name(pretty_function.substr(begin, end - begin));
  if (name.starts_with('&')) name.erase(0, 1);
  for (const std::string_view noise : {"galvan::", "{anonymous}::", "<unnamed>::", "(anonymous namespace)::"})
    for (size_t at; (at = name.find(noise)) != name.npos;) name.erase(at, noise.size());
  return name;
}

void enqueue(const Launch& launch, cudaStream_t stream, std::function<void()> body) {
  const std::lock_guard lock(the_lock);
  check_limits(launch, register_table());
  const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  Launch watched = launch;
  watched.watch = watching();
  const auto work = [launch = watched, blocks, body = std::move(body)](Operation operation) {
    const auto run_block = [&](int64_t block) {
      thread_local Block engine;
      const unsigned b = static_cast<unsigned>(block), x = launch.grid.x, y = launch.grid.y;
      engine.run(launch, {b % x, b / x % y, b / (x * y)}, body);
    };
    if (!launch.watch) return parallel_for(static_cast<int64_t>(blocks), run_block);
    operation.name = launch.kernel;
    operation.grid = launch.grid;
    operation.block = launch.block;
    launch.watch->launch(operation, [&] {
      for (const int block : turns(static_cast<int>(blocks))) run_block(block);
    });
  };
  append(stream, cudaGraphNodeTypeKernel, work, launch.kernel);
}

cudaError_t enqueue(cudaStream_t stream, std::function<void(const Operation&)> work) {
  const std::lock_guard lock(the_lock);
  return append(stream, cudaGraphNodeTypeKernel, std::move(work));
}

std::string take_error() {
  const std::lock_guard lock(the_lock);
  last_error = cudaSuccess;
  return std::exchange(sticky_error, "");
}

}  // namespace galvan::sim

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorInvalidDeviceFunction:
      return "cudaErrorInvalidDeviceFunction";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
  }
  return "unknown error";
}

const char* cudaGetErrorString(cudaError_t error) {
  if (error == cudaErrorLaunchFailure && !sticky_error.empty()) return sticky_error.c_str();
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    default:
      return cudaGetErrorName(error);
  }
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

// --- the card ---
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return set(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return set(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "simulated GPU");
  properties->totalGlobalMem = galvan::sim::kDeviceMemoryBytes;
  properties->major = 9;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0) return set(cudaErrorInvalidDevice);
  switch (attribute) {  // an H100's, but for the number of processors, which is this machine's
    case cudaDevAttrMaxThreadsPerBlock:
      *value = 1024;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = galvan::sim::kStaticSharedLimit;
      break;
    case cudaDevAttrWarpSize:
      *value = galvan::sim::kWarpSize;
      break;
    case cudaDevAttrClockRate:
      *value = 1980000;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = galvan::threads();
      break;
    case cudaDevAttrMemoryClockRate:
      *value = 2619000;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = 5120;
      break;
    case cudaDevAttrL2CacheSize:
      *value = 50 << 20;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = 2048;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = 228 << 10;
      break;
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = 65536;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = galvan::sim::kSharedLimit;
      break;
    default:
      return set(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = galvan::sim::kDeviceMemoryBytes;
  *free = *total - galvan::sim::device_bytes_in_use();
  return cudaSuccess;
}

// --- memory ---
cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  *pointer = bytes == 0 ? nullptr : galvan::sim::allocate_device(bytes, __builtin_return_address(0));
  return set(*pointer || bytes == 0 ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  cudaDeviceSynchronize();
  return set(galvan::sim::free_device(pointer) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  *pointer = galvan::sim::allocate_pinned(bytes, __builtin_return_address(0));
  return set(*pointer ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* pointer) {
  galvan::sim::free_pinned(pointer);
  return cudaSuccess;
}
// From and to pinned memory it happens as late as anything else, between the card and the host's other memory so that
// the host may go on with that at once: what it reads is taken now, what it writes is waited for.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  const auto copy = [=](const Operation& operation) { copy_bytes(operation, to, from, bytes); };
  if (!stream || stream->capture) return append(stream, cudaGraphNodeTypeMemcpy, copy);
  const void* const host = is_device_address(from) ? to : from;
  const auto use = watching() && is_pinned(host) ? use_pinned(host, bytes) : nullptr;
  const auto keeping = [=](const Operation& operation) { return copy(operation), void(use); };
  if (is_device_address(from)) {
    if (use && !use->is_shared) std::memset(to, 0xff, bytes);  // nothing to rely on meanwhile
    const cudaError_t error = append(stream, cudaGraphNodeTypeMemcpy, keeping);
    if (!is_device_address(to) && !is_pinned(to)) wait(stream);
    return error == cudaSuccess ? state() : error;
  }
  if (is_pinned(from) && (!use || use->is_shared)) return append(stream, cudaGraphNodeTypeMemcpy, keeping);
  const char* const begin = static_cast<const char*>(from);
  const auto taken = std::make_shared<const std::vector<char>>(begin, begin + bytes);
  return append(stream, cudaGraphNodeTypeMemcpy, [=](const Operation& operation) {
    if (use) check_unchanged(begin, *taken);
    copy_bytes(operation, to, taken->data(), bytes);
  });
}
// Of little memory that is not pinned, what the call waits for is that it has been read ("API synchronization behavior",
// CUDA Runtime API): it gets to the card as late as anything may that nobody waits for.
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  constexpr size_t kLittle = 64 << 10;
  if (is_device_address(to) && !is_device_address(from) && !is_pinned(from) && bytes <= kLittle) {
    const std::lock_guard lock(the_lock);
    if (const cudaError_t error = drain_all(); error != cudaSuccess) return error;
    const char* const begin = static_cast<const char*>(from);
    late.push_back({++host_copies, std::make_shared<Clock>(host_after),
                    [=, taken = std::vector<char>(begin, begin + bytes)](const Operation& operation) {
                      copy_bytes(operation, to, taken.data(), bytes);
                    }});
    return state();
  }
  return run_at_once([=](const Operation& operation) { copy_bytes(operation, to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  return append(stream, cudaGraphNodeTypeMemset,
                [=](const Operation& operation) { fill_bytes(operation, to, value, bytes); });
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return run_at_once([=](const Operation& operation) { fill_bytes(operation, to, value, bytes); });
}

// --- streams and events ---
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(the_lock);
  static size_t numbers = 0;
  *stream = new CUstream_st;
  (*stream)->number = ++numbers;
  streams().push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  wait(stream);
  std::erase(streams(), stream);
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
  if (const cudaError_t error = drain_all(); error != cudaSuccess) return error;
  arrive();
  for (const cudaStream_t stream : streams()) wait(stream);
  return cudaSuccess;
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

// --- graphs ---
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(the_lock);
  if (!stream) return set(cudaErrorInvalidResourceHandle);
  *status = stream->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(the_lock);
  if (stream->capture) return set(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(the_lock);
  if (!stream->capture) return set(cudaErrorInvalidValue);
  *graph = stream->capture.release();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  if (!nodes) {
    *count = graph->nodes.size();
    return cudaSuccess;
  }
  *count = std::min(*count, graph->nodes.size());
  for (size_t i = 0; i < *count; ++i) nodes[i] = &graph->nodes[i];
  return cudaSuccess;
}
cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  *type = node->type;
  return cudaSuccess;
}
cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, cudaKernelNodeParams* params) {
  if (node->type != cudaGraphNodeTypeKernel) return set(cudaErrorInvalidValue);
  if (!node->kernel) return set(cudaErrorInvalidDeviceFunction);
  *params = {.func = const_cast<char*>(node->kernel)};  // its name stands for it
  return cudaSuccess;
}
cudaError_t cudaFuncGetName(const char** name, const void* function) {
  *name = static_cast<const char*>(function);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  for (const CUgraphNode_st& node : exec->nodes)
    if (const cudaError_t error = append(stream, node.type, node.work, node.kernel); error != cudaSuccess)
      return error;
  return state();
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  cudaDeviceSynchronize();
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
