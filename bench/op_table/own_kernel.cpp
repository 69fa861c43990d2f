#include "bench/op_table/own_kernel.h"

#include <utility>

namespace galvan {
namespace {

std::vector<const OwnKernel*>& registry() {
  static std::vector<const OwnKernel*> all;
  return all;
}

}  // namespace

OwnKernel::OwnKernel(std::string op_, std::string device_, std::string name_,
                     std::function<Outputs(Inputs, const Attributes&)> call_, const char* file_)
    : op(std::move(op_)),
      device(std::move(device_)),
      name(std::move(name_)),
      call(std::move(call_)),
      file(file_) {
  registry().push_back(this);
}

const std::vector<const OwnKernel*>& own_kernels() { return registry(); }

}  // namespace galvan
