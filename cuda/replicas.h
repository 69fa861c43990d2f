// Kernels that run for several replicas of a model in one launch. Replicas do the same work on data of their own, with
// learning rates, seeds, dropout of their own: everything that tells them apart is a kernel's argument. So the launch for
// several of them is given each one's arguments, and which of them a block takes is its place along z: small models, each
// of which leaves most of a card idle, fill it together.
//
//   template <class T>
//   __device__ void add_rows(const T* x, T* y, int64_t n) { ... blockIdx.x, blockIdx.y ... }   // a kernel's body
//
//   launch_body<add_rows<T>, Body{.replicas = kReplicated<T>}>(grid, 256, shared_bytes, stream, x, y, n);
//
// is launch<> for a body, which may be recorded and then launched for replicas (cuda/runtime/recorder.h). Bodies know
// nothing of z. They take arguments that hold arrays by reference: so these stay where a launch leaves its parameters. A
// pointer is a replica's own, also to scratch memory; comes_last (cuda/last_block.h) takes care of itself.
//
// On a card of compute capability 9.0 a body's blocks take their places while the kernel before it ends, and wait there for
// its results ("Programmatic Dependent Launch", CUDA C++ Programming Guide).
#pragma once

#include <algorithm>
#include <type_traits>

#include "cuda/ptx.h"

namespace galvan {

// How a body is compiled.
struct Body {
  int threads = 0, blocks = 0;  // as __launch_bounds__ has them; 0: without
  bool replicas = true;         // for several replicas, too
  int replica_blocks = 0;       // `blocks` for these, whose arguments take more registers; 0: the same
};

// Doubles are there for tests: replicas of their models take turns.
template <class T>
inline constexpr bool kReplicated = !std::is_same_v<T, double>;

// What a kernel's parameters have room for (CUDA C++ Programming Guide, on compute capability 7.0 and later).
inline constexpr size_t kParameterBytes = 32764;

template <class... Args>
struct ArgumentsOfReplicas {
  Arguments<Args...> of[kReplicasPerLaunch];
};

template <auto kBody, class... Args>
__global__ void of_one(Args... args) {
  start_next_and_wait();
  kBody(args...);
}
template <auto kBody, int kThreads, int kBlocks, class... Args>
__global__ void __launch_bounds__(kThreads, kBlocks) of_one_bounded(Args... args) {
  start_next_and_wait();
  kBody(args...);
}

template <auto kBody, class... Args>
__global__ void of_replicas(const __grid_constant__ ArgumentsOfReplicas<Args...> replicas) {
  start_next_and_wait();
  replicas.of[blockIdx.z].template call<kBody>();
}
template <auto kBody, int kThreads, int kBlocks, class... Args>
__global__ void __launch_bounds__(kThreads, kBlocks)
    of_replicas_bounded(const __grid_constant__ ArgumentsOfReplicas<Args...> replicas) {
  start_next_and_wait();
  replicas.of[blockIdx.z].template call<kBody>();
}

// nvcc 13 takes no structure for a kernel's template argument.
template <auto kBody, Body kAsks, class... Args>
constexpr auto kernel_of_one() {
  if constexpr (kAsks.threads > 0) {
    return &of_one_bounded<kBody, kAsks.threads, kAsks.blocks, Args...>;
  } else {
    return &of_one<kBody, Args...>;
  }
}
template <auto kBody, Body kAsks, class... Args>
constexpr auto kernel_of_replicas() {
  if constexpr (kAsks.threads > 0) {
    constexpr int kBlocks = kAsks.replica_blocks > 0 ? kAsks.replica_blocks : kAsks.blocks;
    return &of_replicas_bounded<kBody, kAsks.threads, kBlocks, Args...>;
  } else {
    return &of_replicas<kBody, Args...>;
  }
}

// Of a recorded body: one launch for all replicas that it has room for.
template <auto kBody, Body kAsks, class... Args>
void enqueue_bodies(std::span<const RecordedOperation* const> replicas, cudaStream_t stream) {
  static_assert(sizeof(ArgumentsOfReplicas<Args...>) <= kParameterBytes);
  while (!replicas.empty()) {
    const size_t count = std::min<size_t>(kReplicasPerLaunch, replicas.size());
    const auto& first = static_cast<const RecordedLaunch&>(*replicas[0]);
    if (count == 1)
      return enqueue_launches<kernel_of_one<kBody, kAsks, Args...>(), true, Args...>(replicas, stream);
    ArgumentsOfReplicas<Args...> all{};
    for (size_t r = 0; r < count; ++r)
      all.of[r] = *static_cast<const Arguments<Args...>*>(
          static_cast<const RecordedLaunch&>(*replicas[r]).arguments());
    launch_now<kernel_of_replicas<kBody, kAsks, Args...>(), true>(
        dim3(first.grid.x, first.grid.y, static_cast<unsigned>(count)), first.block, first.shared_bytes,
        stream, all);
    replicas = replicas.subspan(count);
  }
}

template <auto kBody, class Function = decltype(kBody)>
struct BodyLaunch;
template <auto kBody, class... Params>
struct BodyLaunch<kBody, void (*)(Params...)> {
  // The arguments as what the body takes, whatever they were.
  template <Body kAsks>
  static void launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                     std::remove_cvref_t<Params>... args) {
    constexpr auto kEnqueue = [] {
      if constexpr (kAsks.replicas) {
        return &enqueue_bodies<kBody, kAsks, std::remove_cvref_t<Params>...>;
      } else {
        return &enqueue_launches<kOfOne<kAsks>, true, std::remove_cvref_t<Params>...>;
      }
    }();
    if (RecordedStep* const step = Recorder::current())
      return record_launch(*step, kEnqueue, grid, block, shared_bytes, args...);
    launch_now<kOfOne<kAsks>, true>(grid, block, shared_bytes, stream, args...);
  }

 private:
  template <Body kAsks>
  static constexpr auto kOfOne = kernel_of_one<kBody, kAsks, std::remove_cvref_t<Params>...>();
};

// launch<> for a body, whose grid has one block along z.
template <auto kBody, Body kAsks, class... Args>
void launch_body(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Args... args) {
  BodyLaunch<kBody>::template launch<kAsks>(grid, block, shared_bytes, stream, args...);
}

}  // namespace galvan
