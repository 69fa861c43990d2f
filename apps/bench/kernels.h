// What there is to measure: the rows of the op table and the optimizer's update, each in every way that it can be done.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/op_table/op_table.h"
#include "core/variants.h"

namespace galvan {

// What the clock looks at: a call whose arguments are ready.
using PreparedCall = std::function<Outputs()>;
using Prepare = std::function<PreparedCall(const std::vector<Tensor>& inputs, const Attributes&)>;

struct BenchKernel {
  std::string name;  // of its row in the op table, or "adamw"
  std::function<bool(DType)> takes;
  bool has_backward = false;
  std::function<OpCase(const Sizes&)> bench;
  Prepare prepare;
  std::function<int64_t(Inputs, const Attributes&)> length;  // as in OpRow
  std::function<double(Inputs, const Outputs&)> flops, bytes;
};
std::vector<BenchKernel> bench_kernels();

enum class Pass { forward, forward_and_backward };
const char* name(Pass pass);  // "forward", "forward and backward"

enum class Role {
  only,        // there is no other
  rung,        // of the ladder that leads up to what training uses
  production,  // what training uses, or has been chosen in its place
  library,     // somebody else's, to be measured by
  own          // a user's (bench/op_table/own_kernel.h)
};
const char* name(Role role);
Role parse_role(const std::string& name);

// A way to do it.
struct Technique {
  std::string name, file;  // "" and "" of the only one
  Role role = Role::only;
  Variants* versions = nullptr;  // that it is one of, by its name
  Prepare prepare = nullptr;     // in place of the kernel's
};

// While one lives, a technique is what runs.
class InUse {
 public:
  explicit InUse(const Technique& technique) {
    if (technique.versions) chosen_.emplace(*technique.versions, technique.name);
  }

 private:
  std::optional<ChosenVariant> chosen_;
};

// Those of a kernel on a device: the ladder from the lowest rung up, what training uses, the library's, users' own.
std::vector<Technique> techniques_of(const BenchKernel& kernel, Pass pass, const std::string& device);

}  // namespace galvan
