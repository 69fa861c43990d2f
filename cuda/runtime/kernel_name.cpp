#include "cuda/runtime/kernel_name.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace galvan {

std::string short_kernel_name(const char* kernel) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(kernel, nullptr, nullptr, &status), &std::free);
  std::string name = status == 0 ? demangled.get() : kernel;
  for (const std::string_view noise : {"void ", "galvan::", "(anonymous namespace)::"})
    for (size_t at; (at = name.find(noise)) != name.npos;) name.erase(at, noise.size());
  for (const std::string_view wrapper :
       {"of_one<", "of_one_bounded<", "of_replicas<", "of_replicas_bounded<"})  // of a body (cuda/replicas.h)
    if (name.starts_with(wrapper)) name.erase(0, name.find_first_not_of("&(", wrapper.size()));
  return name.substr(0, name.find_first_of("<(,"));
}

}  // namespace galvan
