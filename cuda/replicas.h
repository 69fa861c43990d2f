// Kernels that run for several replicas of a model in one launch. Replicas do the same work on data of their own, with
// learning rates, seeds, dropout of their own: everything that tells them apart is a kernel's argument. So the launch for
// several of them is given each one's arguments, and which of them a block takes is its place along z: small models, each
// of which leaves most of a card idle, fill it together.
//
//   template <class T>
//   __device__ void add_rows(const T* x, T* y, int64_t n) { ... blockIdx.x, blockIdx.y ... }   // a kernel's body
//
//   launch_body<add_rows<T>, Body{.threads = 256, .replicas = kReplicated<T>}>(grid, 256, shared_bytes, stream, x, y, n);
//
// is launch<> for a body, which may be recorded and then launched for replicas (cuda/runtime/recorder.h). Bodies know
// nothing of z. They take arguments that hold arrays by reference: so these stay where a launch leaves its parameters. A
// pointer is a replica's own, also to scratch memory; comes_last (cuda/last_block.h) takes care of itself.
#pragma once

#include <algorithm>
#include <tuple>
#include <type_traits>

#include "cuda/dialect.h"

namespace galvan {

// What a body asks of the compiler.
struct Body {
  int threads;           // of a block, at most
  int blocks = 1;        // on a multiprocessor, at least
  bool replicas = true;  // whether there is a launch for several replicas, too
};

// Doubles are there for tests: replicas of their models take turns.
template <class T>
inline constexpr bool kReplicated = !std::is_same_v<T, double>;

// What a kernel's parameters have room for (CUDA C++ Programming Guide, on compute capability 7.0 and later).
inline constexpr size_t kParameterBytes = 32764;

// Arguments of a body, as kernels take them: std::tuple's functions are the host's.
template <class... Args>
struct Arguments {
  template <auto kBody, class... Before>
  __device__ void call(const Before&... before) const {
    kBody(before...);
  }
};
template <class First, class... Rest>
struct Arguments<First, Rest...> {
  First first;
  Arguments<Rest...> rest;

  template <auto kBody, class... Before>
  __device__ void call(const Before&... before) const {
    rest.template call<kBody>(before..., first);
  }
};

template <class... Args>
struct ArgumentsOfReplicas {
  Arguments<Args...> of[kReplicasPerLaunch];
};

// nvcc 13 takes no structure for a kernel's template argument.
template <auto kBody, int kThreads, int kBlocks, class... Args>
__global__ void __launch_bounds__(kThreads, kBlocks) of_one(Args... args) {
  kBody(args...);
}

template <auto kBody, int kThreads, int kBlocks, class... Args>
__global__ void __launch_bounds__(kThreads, kBlocks)
    of_replicas(const __grid_constant__ ArgumentsOfReplicas<Args...> replicas) {
  replicas.of[blockIdx.z].template call<kBody>();
}

inline Arguments<> arguments_of() { return {}; }
template <class First, class... Rest>
Arguments<First, Rest...> arguments_of(First first, Rest... rest) {
  return {first, arguments_of(rest...)};
}

// A body's launch, recorded.
template <auto kBody, Body kAsks, class... Args>
class RecordedBody final : public RecordedOperation {
 public:
  RecordedBody(dim3 grid, dim3 block, size_t shared_bytes, Args... args)
      : grid_(grid), block_(block), shared_bytes_(shared_bytes), args_(args...) {}

  bool matches(const RecordedOperation& other) const override {
    const auto* same = dynamic_cast<const RecordedBody*>(&other);
    return same && equal(grid_, same->grid_) && equal(block_, same->block_) &&
           shared_bytes_ == same->shared_bytes_;
  }

  void enqueue(std::span<const RecordedOperation* const> replicas, cudaStream_t stream) const override {
    for (size_t begin = 0; begin < replicas.size(); begin += kReplicasPerLaunch)
      enqueue_some(replicas.subspan(begin, std::min<size_t>(kReplicasPerLaunch, replicas.size() - begin)),
                   stream);
  }

 private:
  static bool equal(dim3 a, dim3 b) { return a.x == b.x && a.y == b.y && a.z == b.z; }

  void enqueue_some(std::span<const RecordedOperation* const> replicas, cudaStream_t stream) const {
    if constexpr (kAsks.replicas) {
      static_assert(sizeof(ArgumentsOfReplicas<Args...>) <= kParameterBytes);
      if (replicas.size() > 1) {
        ArgumentsOfReplicas<Args...> all{};
        for (size_t r = 0; r < replicas.size(); ++r)
          all.of[r] = std::apply([](Args... args) { return arguments_of(args...); },
                                 static_cast<const RecordedBody*>(replicas[r])->args_);
        return launch_now<of_replicas<kBody, kAsks.threads, kAsks.blocks, Args...>>(
            dim3(grid_.x, grid_.y, static_cast<unsigned>(replicas.size())), block_, shared_bytes_, stream,
            all);
      }
    }
    for (const RecordedOperation* replica : replicas)
      std::apply(
          [&](Args... args) {
            launch_now<of_one<kBody, kAsks.threads, kAsks.blocks, Args...>>(grid_, block_, shared_bytes_,
                                                                            stream, args...);
          },
          static_cast<const RecordedBody*>(replica)->args_);
  }

  dim3 grid_, block_;
  size_t shared_bytes_;
  std::tuple<Args...> args_;
};

template <class... Params>
std::tuple<std::remove_cvref_t<Params>...> parameters_of_body(void (*)(Params...));

// launch<> for a body, whose grid has one block along z.
template <auto kBody, Body kAsks, class... Args>
void launch_body(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Args... args) {
  // The arguments as what the body takes, so that they match whatever they were.
  const auto start = [&]<class... Params>(const std::tuple<Params...>& parameters) {
    std::apply(
        [&](Params... exact) {
          if (RecordedStep* const step = Recorder::current()) {
            step->push_back(
                std::make_unique<RecordedBody<kBody, kAsks, Params...>>(grid, block, shared_bytes, exact...));
          } else {
            launch_now<of_one<kBody, kAsks.threads, kAsks.blocks, Params...>>(grid, block, shared_bytes,
                                                                              stream, exact...);
          }
        },
        parameters);
  };
  start(decltype(parameters_of_body(kBody))(args...));
}

}  // namespace galvan
