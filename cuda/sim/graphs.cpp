// Graphs: what was put on a stream while it was being recorded, to be put there again.
#include <cuda_runtime.h>

#include <algorithm>
#include <memory>

#include "cuda/sim/timeline.h"

using namespace galvan::sim;

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
