// The card's memory and stream for core (core/cuda_backend.h).
#include "core/cuda_backend.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "cuda/runtime/check.h"
#include "cuda/runtime/kernel_name.h"
#include "cuda/runtime/matmul.h"
#include "cuda/runtime/recorder.h"
#include "cuda/runtime/staging.h"
#include "cuda/runtime/stream.h"

namespace galvan::cuda_backend {
namespace {

void* take(int64_t bytes) {
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, static_cast<size_t>(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it has been dealt with
    return nullptr;
  }
  check_cuda(error, "cudaMalloc");
  return block;
}

void give_back(void* block, int64_t) { cudaFree(block); }

int64_t left() {
  size_t free = 0, total = 0;
  return cudaMemGetInfo(&free, &total) == cudaSuccess ? static_cast<int64_t>(free) : 0;
}

// On the simulated card every tensor is a block by itself, so that what is written past one's end is noticed.
#ifdef GALVAN_CUDA_SIM
constexpr int64_t kSlabBytes = 0;
#else
constexpr int64_t kSlabBytes = int64_t{2} << 20;
#endif

// Never destroyed: tensors with static lifetime may be freed after it would have been.
struct OpenCard {
  CachingAllocator allocator{{.take = take,
                              .give_back = give_back,
                              .left = left,
                              .where = " on cuda:0",
                              .alignment = 256,
                              .slab_bytes = kSlabBytes}};
  Stream stream;
  std::mutex copying;
  std::optional<Staging> staging;  // from the first copy on
};

OpenCard* opened = nullptr;

OpenCard& open_card(Device device) {
  check(device.index == 0, device, ": cuda:0 is the one card that is used");
  static OpenCard* const instance = [&] {
    const std::string reason = unavailable();
    check(reason.empty(), device, ": ", reason);
    opened = new OpenCard;
    std::atexit([] {
      cudaStreamSynchronize(opened->stream);  // copies from pinned memory end before it goes
      opened->staging.reset();
      opened->allocator.release();
    });
    return opened;
  }();
  return *instance;
}

}  // namespace

std::string unavailable() {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return {};
  cudaGetLastError();  // it has been dealt with
  if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess &&
      cudaRuntimeGetVersion(&runtime) == cudaSuccess)
    return driver == 0 ? "there is no NVIDIA driver"
                       : concat("the driver supports CUDA ", driver / 1000, ".", driver % 1000 / 10,
                                ", this build needs ", runtime / 1000, ".", runtime % 1000 / 10);
  return error == cudaSuccess ? "no CUDA-capable device is detected" : cudaGetErrorString(error);
}

Card card(Device device) {
  open_card(device);
  cudaDeviceProp properties{};
  GALVAN_CUDA_CALL(cudaGetDeviceProperties(&properties, device.index));
#ifdef GALVAN_CUDA_SIM
  constexpr bool kSimulated = true;
#else
  constexpr bool kSimulated = false;
#endif
  Card card{.name = properties.name,
            .memory = static_cast<int64_t>(properties.totalGlobalMem),
            .major = properties.major,
            .minor = properties.minor,
            .simulated = kSimulated};
  GALVAN_CUDA_CALL(
      cudaDeviceGetAttribute(&card.multiprocessors, cudaDevAttrMultiProcessorCount, device.index));
  GALVAN_CUDA_CALL(
      cudaDeviceGetAttribute(&card.shared_memory, cudaDevAttrMaxSharedMemoryPerBlockOptin, device.index));
  GALVAN_CUDA_CALL(cudaDriverGetVersion(&card.driver));
  GALVAN_CUDA_CALL(cudaRuntimeGetVersion(&card.runtime));
  return card;
}

CachingAllocator& allocator(Device device) { return open_card(device).allocator; }

CUstream_st* stream(Device device) { return open_card(device).stream; }

void copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (bytes == 0) return;
  check(!Recorder::current(), "cuda: a copy between host and card cannot be recorded");
  OpenCard& card = open_card(to_device.is_cpu() ? from_device : to_device);
  const std::lock_guard lock(card.copying);
  if (!card.staging) card.staging.emplace();
  const auto size = static_cast<size_t>(bytes);
  if (to_device.is_cpu()) {
    card.staging->to_host(to, from, size, card.stream);
  } else {
    check(from_device.is_cpu(), "cuda: a copy from ", from_device, " to ", to_device);
    card.staging->to_card(to, from, size, card.stream);
  }
}

void set_tf32(bool on) { galvan::set_tf32(on); }

std::vector<std::string> matmul_algorithms() { return galvan::matmul_algorithms(); }

struct Graph::Parts {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  cudaStream_t stream = nullptr;

  ~Parts() {
    if (exec) cudaStreamSynchronize(stream);  // it may be under way
    if (exec) cudaGraphExecDestroy(exec);
    if (graph) cudaGraphDestroy(graph);
  }
};

Graph::Graph(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Graph::Graph(Graph&&) noexcept = default;
Graph::~Graph() = default;

void Graph::launch() const { GALVAN_CUDA_CALL(cudaGraphLaunch(parts_->exec, parts_->stream)); }

namespace {

std::string name_of(cudaGraphNode_t node) {
  cudaGraphNodeType type{};
  GALVAN_CUDA_CALL(cudaGraphNodeGetType(node, &type));
  if (type == cudaGraphNodeTypeMemcpy) return "copy";
  if (type == cudaGraphNodeTypeMemset) return "fill";
  check(type == cudaGraphNodeTypeKernel, "cuda: a graph holds something else than kernels, copies and fills");
  cudaKernelNodeParams launch{};
  const char* name = nullptr;
  if (cudaGraphKernelNodeGetParams(node, &launch) == cudaSuccess &&
      cudaFuncGetName(&name, launch.func) == cudaSuccess)
    return short_kernel_name(name);
  cudaGetLastError();  // a library's kernel has no name here
  return "cublasLt";
}

}  // namespace

namespace {

std::vector<cudaGraphNode_t> nodes_of(cudaGraph_t graph) {
  size_t count = 0;
  GALVAN_CUDA_CALL(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<cudaGraphNode_t> nodes(count);
  GALVAN_CUDA_CALL(cudaGraphGetNodes(graph, nodes.data(), &count));
  return nodes;
}

}  // namespace

std::vector<std::string> Graph::operations() const {
  std::vector<std::string> names;
  for (const cudaGraphNode_t node : nodes_of(parts_->graph)) names.push_back(name_of(node));
  return names;
}

#ifndef GALVAN_CUDA_SIM
std::vector<LaunchFacts> Graph::launches() const {
  std::vector<LaunchFacts> all;
  cudaDeviceProp properties{};
  GALVAN_CUDA_CALL(cudaGetDeviceProperties(&properties, 0));
  for (const cudaGraphNode_t node : nodes_of(parts_->graph)) {
    LaunchFacts facts{.kernel = name_of(node)};
    cudaKernelNodeParams launch{};
    cudaFuncAttributes needs{};
    int blocks = 0;
    if (facts.kernel == "copy" || facts.kernel == "fill") continue;
    if (cudaGraphKernelNodeGetParams(node, &launch) == cudaSuccess &&
        cudaFuncGetAttributes(&needs, launch.func) == cudaSuccess) {
      const dim3 grid = launch.gridDim, block = launch.blockDim;
      const unsigned sizes[2][3] = {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}};
      std::copy(sizes[0], sizes[0] + 3, facts.grid);
      std::copy(sizes[1], sizes[1] + 3, facts.block);
      const auto threads = static_cast<int>(block.x * block.y * block.z);
      facts.registers = needs.numRegs;
      facts.shared_bytes = static_cast<int64_t>(needs.sharedSizeBytes + launch.sharedMemBytes);
      if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, launch.func, threads,
                                                        launch.sharedMemBytes) == cudaSuccess)
        facts.occupancy = static_cast<double>(blocks * threads) / properties.maxThreadsPerMultiProcessor;
    }
    cudaGetLastError();  // a library's kernel tells nothing here
    all.push_back(std::move(facts));
  }
  return all;
}
#endif

class Recording {
 public:
  RecordedStep operations;
};

std::shared_ptr<const Recording> record(const std::function<void()>& body) {
  const auto recording = std::make_shared<Recording>();
  const Recorder recorder(recording->operations);
  const AsReplica as_replica;
  body();
  return recording;
}

void run_once(const std::function<void()>& body) {
  const AsReplica as_replica;
  body();
}

bool match(const Recording& a, const Recording& b) { return galvan::match(a.operations, b.operations); }

Graph join(Device device, const std::vector<std::shared_ptr<const Recording>>& recordings) {
  std::vector<const RecordedStep*> steps;
  for (const auto& recording : recordings) steps.push_back(&recording->operations);
  return capture(device, [&] { enqueue(steps, open_card(device).stream); });
}

Graph capture(Device device, const std::function<void()>& body) {
  auto parts = std::make_unique<Graph::Parts>();
  parts->stream = open_card(device).stream;
  GALVAN_CUDA_CALL(cudaStreamBeginCapture(parts->stream, cudaStreamCaptureModeThreadLocal));
  try {
    body();
  } catch (...) {
    cudaStreamEndCapture(parts->stream, &parts->graph);  // the body's error is the one to tell
    cudaGetLastError();
    throw;
  }
  GALVAN_CUDA_CALL(cudaStreamEndCapture(parts->stream, &parts->graph));
  GALVAN_CUDA_CALL(cudaGraphInstantiate(&parts->exec, parts->graph, 0));
  return Graph(std::move(parts));
}

}  // namespace galvan::cuda_backend
