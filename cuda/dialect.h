// The dialect that our kernels are written in: CUDA C++ as it is, but for three things that a host compiler
// cannot know. It gets them from cuda/sim, nvcc from CUDA:
//
//   launch<kernel>(grid, block, shared_bytes, stream, args...)   for kernel<<<...>>>(args...)
//   GALVAN_SHARED(float[32][33], tile);                          for __shared__ float tile[32][33];
//   float* rows = dynamic_shared<float>();                       for extern __shared__ float rows[];
//
// A kernel whose body can also be launched for several replicas of a model at once: cuda/replicas.h.
//
// And one_access(p, bytes) says that what follows is one instruction's access to these bytes, which a host compiler
// may cut into several: for the simulator's counts (cuda/sim/counts.h), nothing elsewhere.
//
// Everything in PTX (cp.async, ldmatrix, mma) stands in cuda/ptx.h, with a simulated body beside each.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

#include "cuda/runtime/recorder.h"
#ifdef GALVAN_CUDA_SIM
#include "cuda/sim/device.h"
#include "cuda/sim/launch.h"
#else
#include "cuda/runtime/launch.h"
#endif
#include "cuda/arguments.h"

namespace galvan {

template <class T>
using SharedType = T;  // float[32][33] in front of a variable's name

#ifdef GALVAN_CUDA_SIM

template <auto kKernel, bool kStartsEarly = false, class... Args>
void launch_now(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Args... args) {
  sim::launch_now<kKernel>(grid, block, shared_bytes, stream, args...);
}

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(sim::Block::current()->dynamic_shared());
}

#ifdef GALVAN_SIM_CHECK
using sim::one_access;
#else
inline void one_access(const void*, size_t) {}
#endif

#define GALVAN_SHARED(type, name)                                                                          \
  static constexpr char name##_key = 0;                                                                    \
  auto& name = *static_cast<::galvan::SharedType<type>*>(::galvan::sim::Block::current()->shared_variable( \
      &name##_key, sizeof(::galvan::SharedType<type>), alignof(::galvan::SharedType<type>),                \
      ::galvan::sim::Place::current()))

#else

// kStartsEarly: the kernel begins with start_next_and_wait() (cuda/ptx.h), so that its blocks may come while those of the
// kernel before it are still at work.
template <auto kKernel, bool kStartsEarly = false, class... Args>
void launch_now(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Args... args) {
  const auto kernel = reinterpret_cast<const void*>(kKernel);
  if (shared_bytes > 48 * 1024) allow_shared_memory(kernel, shared_bytes);
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  if constexpr (kStartsEarly) {
    static const bool may = may_start_early(kernel);
    config.attrs = &early;
    config.numAttrs = may ? 1 : 0;
  }
  cudaLaunchKernelEx(&config, kKernel, args...);  // check_launch sees what came of it
  check_launch(kernel, grid, block, shared_bytes);
}

template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char galvan_dynamic_shared[];
  return reinterpret_cast<T*>(galvan_dynamic_shared);
}

__device__ inline void one_access(const void*, size_t) {}

#define GALVAN_SHARED(type, name) __shared__ ::galvan::SharedType<type> name

#endif

// Of a recorded kernel (cuda/runtime/recorder.h): a launch for each replica.
template <auto kKernel, bool kStartsEarly = false, class... Args>
void enqueue_launches(std::span<const RecordedOperation* const> replicas, cudaStream_t stream) {
  for (const RecordedOperation* replica : replicas) {
    const auto& one = static_cast<const RecordedLaunch&>(*replica);
    static_cast<const Arguments<Args...>*>(one.arguments())->pass_to([&](const Args&... args) {
      launch_now<kKernel, kStartsEarly>(one.grid, one.block, one.shared_bytes, stream, args...);
    });
  }
}

template <class... Args>
void record_launch(RecordedStep& step, RecordedLaunch::Enqueue enqueue, dim3 grid, dim3 block,
                   size_t shared_bytes, const Args&... args) {
  const Arguments<Args...> arguments{{args}...};
  step.push_back(
      std::make_unique<RecordedLaunch>(enqueue, grid, block, shared_bytes, &arguments, sizeof arguments));
}

template <auto kKernel, class... Args>
void launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Args... args) {
  if (RecordedStep* const step = Recorder::current())
    return record_launch(*step, &enqueue_launches<kKernel, false, Args...>, grid, block, shared_bytes,
                         args...);
  launch_now<kKernel>(grid, block, shared_bytes, stream, args...);
}

// How many blocks of `threads` cover n elements.
inline unsigned blocks_for(int64_t n, int threads) {
  return static_cast<unsigned>((n + threads - 1) / threads);
}

}  // namespace galvan
