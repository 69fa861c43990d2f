#include "cuda/runtime/workspace.h"

#include <map>
#include <mutex>

#include "cuda/runtime/check.h"
#include "cuda/runtime/recorder.h"

namespace galvan {
namespace {

constexpr size_t kCounterBytes = kReplicasPerLaunch * sizeof(unsigned);

struct Workspaces {
  std::mutex mutex;
  std::map<cudaStream_t, Workspace> of_stream;

  ~Workspaces() {
    for (const auto& [stream, workspace] : of_stream) {
      cudaFree(workspace.data);
      cudaFree(workspace.counters);
    }
  }
};

Workspaces& workspaces() {
  static Workspaces all;
  return all;
}

// What cuBLAS uses by default: 32 MiB from Hopper on, 4 MiB before (cuBLAS Library, cublasSetWorkspace).
size_t workspace_bytes() {
  int device = 0, major = 0;
  GALVAN_CUDA_CALL(cudaGetDevice(&device));
  GALVAN_CUDA_CALL(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  return size_t{major >= 9 ? 32u : 4u} << 20;
}

}  // namespace

Workspace workspace_of(cudaStream_t stream) {
  Workspaces& all = workspaces();
  const std::lock_guard lock(all.mutex);
  const auto found = all.of_stream.find(stream);
  if (found != all.of_stream.end()) return found->second;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  GALVAN_CUDA_CALL(cudaStreamIsCapturing(stream, &status));
  check(status == cudaStreamCaptureStatusNone,
        "cuda: a stream's first matrix product or sum over blocks allocates memory, so it cannot be "
        "captured: run "
        "the work once before");
  Workspace made{nullptr, workspace_bytes(), nullptr};
  GALVAN_CUDA_CALL(cudaMalloc(&made.data, made.bytes));
  GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&made.counters), kCounterBytes));
  GALVAN_CUDA_CALL(cudaMemsetAsync(made.counters, 0, kCounterBytes, stream));
  all.of_stream[stream] = made;
  return made;
}

void release_workspace(cudaStream_t stream) {
  Workspaces& all = workspaces();
  const std::lock_guard lock(all.mutex);
  const auto found = all.of_stream.find(stream);
  if (found == all.of_stream.end()) return;
  cudaFree(found->second.data);  // waits for what uses it
  cudaFree(found->second.counters);
  all.of_stream.erase(found);
}

}  // namespace galvan
