// launch_now<kernel>(grid, block, shared_bytes, stream, args...): puts the kernel at the end of the stream.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <string>
#include <string_view>
#include <tuple>

#include "cuda/sim/block.h"
#include "cuda/sim/watch.h"

namespace galvan::sim {

// Checks the launch against the card's limits, then appends it to the stream. `body` runs one thread.
void enqueue(const Launch& launch, cudaStream_t stream, std::function<void()> body);
// Appends what a library does on the card, by the host's own code.
cudaError_t enqueue(cudaStream_t stream, std::function<void(const Operation&)> work);

// What went wrong in a kernel, copy or fill that has run, or "": since then every call fails, and from now on
// they work again. For tests.
std::string take_error();

// Whether cublasLt has its epilogues for products of a batch, as it has at first: a card's may not. For tests.
void allow_batched_epilogues(bool allowed);

// "softmax_rows<float>", out of a function's name for the compiler: "... [with auto kKernel = NAME; ...]".
std::string short_kernel_name(std::string_view pretty_function);

template <auto kKernel>
const char* kernel_name() {
  static const std::string name = short_kernel_name(__PRETTY_FUNCTION__);
  return name.c_str();
}

template <class... Params>
std::tuple<Params...> parameters_of(void (*)(Params...));

template <auto kKernel, class... Args>
void launch_now(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Args... args) {
  decltype(parameters_of(kKernel)) parameters(args...);
  enqueue({kernel_name<kKernel>(), grid, block, shared_bytes}, stream, [parameters] {
    const KernelCode inside(&parameters, sizeof parameters);
    std::apply(kKernel, parameters);
  });
}

}  // namespace galvan::sim
