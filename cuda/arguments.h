// A kernel's arguments in one structure, which the host and the card can take apart again: std::tuple's functions are the
// host's alone.
#pragma once

#include <cstddef>
#include <utility>

namespace galvan {

template <size_t kIndex, class T>
struct Argument {
  T value;
};

template <class Indices, class... Args>
struct ArgumentList;
template <size_t... I, class... Args>
struct ArgumentList<std::index_sequence<I...>, Args...> : Argument<I, Args>... {
  template <auto kBody>
  __device__ void call() const {
    kBody(this->Argument<I, Args>::value...);
  }
  template <class Launch>
  void pass_to(const Launch& launch) const {
    launch(this->Argument<I, Args>::value...);
  }
};

template <class... Args>
using Arguments = ArgumentList<std::index_sequence_for<Args...>, Args...>;

}  // namespace galvan
