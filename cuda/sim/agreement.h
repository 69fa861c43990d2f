// What the simulator's headers and CUDA's must agree in, as assertions for the compiler: by the host's with the former
// (tests/sim/agreement.cpp), by nvcc with the latter (scripts/check-kernels). Every name of the simulator's
// cuda_runtime.h and vector_types.h stands here.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

namespace galvan::agreement {

// --- vectors: sizes, alignments, and where their elements are ---
template <class V, class E, size_t kElements, size_t kAlignment>
constexpr bool is_vector =
    sizeof(V) == kElements * sizeof(E) &&
    alignof(V) == kAlignment&& std::is_same_v<decltype(V::x), E>&& std::is_trivially_copyable_v<V>;
static_assert(is_vector<int2, int, 2, 8>);
static_assert(is_vector<int3, int, 3, 4>);
static_assert(is_vector<int4, int, 4, 16>);
static_assert(is_vector<uint2, unsigned, 2, 8>);
static_assert(is_vector<uint3, unsigned, 3, 4>);
static_assert(is_vector<uint4, unsigned, 4, 16>);
static_assert(is_vector<float2, float, 2, 8>);
static_assert(is_vector<float3, float, 3, 4>);
static_assert(is_vector<float4, float, 4, 16>);
static_assert(is_vector<double2, double, 2, 16>);
static_assert(offsetof(int2, y) == 1 * sizeof(int));
static_assert(offsetof(int3, y) == 1 * sizeof(int) && offsetof(int3, z) == 2 * sizeof(int));
static_assert(offsetof(int4, y) == 1 * sizeof(int) && offsetof(int4, z) == 2 * sizeof(int) &&
              offsetof(int4, w) == 3 * sizeof(int));
static_assert(offsetof(uint2, y) == 1 * sizeof(unsigned));
static_assert(offsetof(uint3, y) == 1 * sizeof(unsigned) && offsetof(uint3, z) == 2 * sizeof(unsigned));
static_assert(offsetof(uint4, y) == 1 * sizeof(unsigned) && offsetof(uint4, z) == 2 * sizeof(unsigned) &&
              offsetof(uint4, w) == 3 * sizeof(unsigned));
static_assert(offsetof(float2, y) == 1 * sizeof(float));
static_assert(offsetof(float3, y) == 1 * sizeof(float) && offsetof(float3, z) == 2 * sizeof(float));
static_assert(offsetof(float4, y) == 1 * sizeof(float) && offsetof(float4, z) == 2 * sizeof(float) &&
              offsetof(float4, w) == 3 * sizeof(float));
static_assert(offsetof(double2, y) == 1 * sizeof(double));
static_assert(sizeof(dim3) == 12 && alignof(dim3) == 4 && offsetof(dim3, y) == 4 && offsetof(dim3, z) == 8);
static_assert(dim3().x == 1 && dim3().y == 1 && dim3().z == 1 && dim3(7).x == 7 && dim3(7).z == 1);
static_assert(dim3(uint3{1, 2, 3}).y == 2 && std::is_convertible_v<unsigned, dim3>);
static_assert(std::is_same_v<decltype(make_float2(1.f, 1.f)), float2>);
static_assert(std::is_same_v<decltype(make_float4(1.f, 1.f, 1.f, 1.f)), float4>);
static_assert(std::is_same_v<decltype(make_uint2(1u, 1u)), uint2>);
static_assert(std::is_same_v<decltype(make_uint4(1u, 1u, 1u, 1u)), uint4>);
static_assert(std::is_same_v<decltype(make_int2(1, 1)), int2>);
static_assert(std::is_same_v<decltype(make_int4(1, 1, 1, 1)), int4>);

// --- values ---
static_assert(cudaSuccess == 0);
static_assert(cudaErrorInvalidValue == 1);
static_assert(cudaErrorMemoryAllocation == 2);
static_assert(cudaErrorInvalidConfiguration == 9);
static_assert(cudaErrorInsufficientDriver == 35);
static_assert(cudaErrorInvalidDeviceFunction == 98);
static_assert(cudaErrorNoDevice == 100);
static_assert(cudaErrorInvalidDevice == 101);
static_assert(cudaErrorInvalidResourceHandle == 400);
static_assert(cudaErrorNotReady == 600);
static_assert(cudaErrorIllegalAddress == 700);
static_assert(cudaErrorLaunchFailure == 719);
static_assert(cudaErrorStreamCaptureUnsupported == 900);
static_assert(cudaErrorStreamCaptureInvalidated == 901);
static_assert(cudaDevAttrMaxThreadsPerBlock == 1);
static_assert(cudaDevAttrMaxSharedMemoryPerBlock == 8);
static_assert(cudaDevAttrWarpSize == 10);
static_assert(cudaDevAttrClockRate == 13);
static_assert(cudaDevAttrMultiProcessorCount == 16);
static_assert(cudaDevAttrMemoryClockRate == 36);
static_assert(cudaDevAttrGlobalMemoryBusWidth == 37);
static_assert(cudaDevAttrL2CacheSize == 38);
static_assert(cudaDevAttrMaxThreadsPerMultiProcessor == 39);
static_assert(cudaDevAttrComputeCapabilityMajor == 75);
static_assert(cudaDevAttrComputeCapabilityMinor == 76);
static_assert(cudaDevAttrMaxSharedMemoryPerMultiprocessor == 81);
static_assert(cudaDevAttrMaxRegistersPerMultiprocessor == 82);
static_assert(cudaDevAttrMaxSharedMemoryPerBlockOptin == 97);
static_assert(cudaMemcpyHostToHost == 0);
static_assert(cudaMemcpyHostToDevice == 1);
static_assert(cudaMemcpyDeviceToHost == 2);
static_assert(cudaMemcpyDeviceToDevice == 3);
static_assert(cudaMemcpyDefault == 4);
static_assert(cudaStreamNonBlocking == 1);
static_assert(cudaEventDefault == 0);
static_assert(cudaEventDisableTiming == 2);
static_assert(cudaStreamCaptureModeGlobal == 0);
static_assert(cudaStreamCaptureModeThreadLocal == 1);
static_assert(cudaStreamCaptureModeRelaxed == 2);
static_assert(cudaStreamCaptureStatusNone == 0);
static_assert(cudaStreamCaptureStatusActive == 1);
static_assert(cudaStreamCaptureStatusInvalidated == 2);
static_assert(cudaGraphNodeTypeKernel == 0);
static_assert(cudaGraphNodeTypeMemcpy == 1);
static_assert(cudaGraphNodeTypeMemset == 2);
static_assert(cudaGraphNodeTypeWaitEvent == 6);
static_assert(cudaGraphNodeTypeEventRecord == 7);
static_assert(sizeof(cudaError_t) == sizeof(int));
static_assert(sizeof(cudaGraphNodeType) == sizeof(int));
static_assert(sizeof(cudaDeviceAttr) == sizeof(int));
static_assert(sizeof(cudaMemcpyKind) == sizeof(int));
static_assert(sizeof(cudaStreamCaptureMode) == sizeof(int));
static_assert(sizeof(cudaStreamCaptureStatus) == sizeof(int));

// --- types ---
static_assert(std::is_same_v<decltype(cudaDeviceProp::name), char[256]>);
static_assert(std::is_same_v<decltype(cudaDeviceProp::totalGlobalMem), size_t>);
static_assert(std::is_same_v<decltype(cudaDeviceProp::major), int>);
static_assert(std::is_same_v<decltype(cudaDeviceProp::minor), int>);
static_assert(std::is_same_v<decltype(cudaKernelNodeParams::func), void*>);
static_assert(std::is_pointer_v<cudaStream_t> && std::is_pointer_v<cudaEvent_t>);
static_assert(std::is_pointer_v<cudaGraph_t> && std::is_pointer_v<cudaGraphExec_t> &&
              std::is_pointer_v<cudaGraphNode_t>);

// --- functions: what they take and return ---
template <class Signature>
constexpr bool is(Signature*) {
  return true;
}
static_assert(is<const char*(cudaError_t)>(cudaGetErrorName));
static_assert(is<const char*(cudaError_t)>(cudaGetErrorString));
static_assert(is<cudaError_t()>(cudaGetLastError));
static_assert(is<cudaError_t()>(cudaPeekAtLastError));
static_assert(is<cudaError_t(int*)>(cudaGetDeviceCount));
static_assert(is<cudaError_t(int)>(cudaSetDevice));
static_assert(is<cudaError_t(int*)>(cudaGetDevice));
static_assert(is<cudaError_t(cudaDeviceProp*, int)>(cudaGetDeviceProperties));
static_assert(is<cudaError_t(int*, cudaDeviceAttr, int)>(cudaDeviceGetAttribute));
static_assert(is<cudaError_t(int*)>(cudaDriverGetVersion));
static_assert(is<cudaError_t(int*)>(cudaRuntimeGetVersion));
static_assert(is<cudaError_t(size_t*, size_t*)>(cudaMemGetInfo));
static_assert(is<cudaError_t()>(cudaDeviceSynchronize));
static_assert(is<cudaError_t(void**, size_t)>(cudaMalloc));
static_assert(is<cudaError_t(void*)>(cudaFree));
static_assert(is<cudaError_t(void**, size_t)>(cudaMallocHost));
static_assert(is<cudaError_t(void*)>(cudaFreeHost));
static_assert(is<cudaError_t(void*, const void*, size_t, cudaMemcpyKind)>(cudaMemcpy));
static_assert(is<cudaError_t(void*, const void*, size_t, cudaMemcpyKind, cudaStream_t)>(cudaMemcpyAsync));
static_assert(is<cudaError_t(void*, int, size_t)>(cudaMemset));
static_assert(is<cudaError_t(void*, int, size_t, cudaStream_t)>(cudaMemsetAsync));
static_assert(is<cudaError_t(cudaStream_t*, unsigned)>(cudaStreamCreateWithFlags));
static_assert(is<cudaError_t(cudaStream_t)>(cudaStreamDestroy));
static_assert(is<cudaError_t(cudaStream_t)>(cudaStreamSynchronize));
static_assert(is<cudaError_t(cudaStream_t)>(cudaStreamQuery));
static_assert(is<cudaError_t(cudaStream_t, cudaEvent_t, unsigned)>(cudaStreamWaitEvent));
static_assert(is<cudaError_t(cudaEvent_t*, unsigned)>(cudaEventCreateWithFlags));
static_assert(is<cudaError_t(cudaEvent_t)>(cudaEventDestroy));
static_assert(is<cudaError_t(cudaEvent_t, cudaStream_t)>(cudaEventRecord));
static_assert(is<cudaError_t(cudaEvent_t)>(cudaEventSynchronize));
static_assert(is<cudaError_t(cudaEvent_t)>(cudaEventQuery));
static_assert(is<cudaError_t(float*, cudaEvent_t, cudaEvent_t)>(cudaEventElapsedTime));
static_assert(is<cudaError_t(cudaStream_t, cudaStreamCaptureStatus*)>(cudaStreamIsCapturing));
static_assert(is<cudaError_t(cudaStream_t, cudaStreamCaptureMode)>(cudaStreamBeginCapture));
static_assert(is<cudaError_t(cudaStream_t, cudaGraph_t*)>(cudaStreamEndCapture));
static_assert(is<cudaError_t(cudaGraphExec_t*, cudaGraph_t, unsigned long long)>(cudaGraphInstantiate));
static_assert(is<cudaError_t(cudaGraph_t, cudaGraphNode_t*, size_t*)>(cudaGraphGetNodes));
static_assert(is<cudaError_t(cudaGraphNode_t, cudaGraphNodeType*)>(cudaGraphNodeGetType));
static_assert(is<cudaError_t(cudaGraphNode_t, cudaKernelNodeParams*)>(cudaGraphKernelNodeGetParams));
static_assert(is<cudaError_t(const char**, const void*)>(cudaFuncGetName));
static_assert(is<cudaError_t(cudaGraphExec_t, cudaStream_t)>(cudaGraphLaunch));
static_assert(is<cudaError_t(cudaGraphExec_t)>(cudaGraphExecDestroy));
static_assert(is<cudaError_t(cudaGraph_t)>(cudaGraphDestroy));

}  // namespace galvan::agreement
