#include "apps/bench/kernels.h"

#include <memory>

#include "bench/op_table/own_kernel.h"
#include "core/check.h"
#include "optim/adam.h"

namespace galvan {
namespace {

BenchKernel of_row(const OpRow& row) {
  return {.name = row.name,
          .takes = [&row](DType dtype) { return types_of(row.op).contains(dtype); },
          .has_backward = row.has_backward,
          .bench = row.bench,
          .prepare = [&row](const std::vector<Tensor>& inputs, const Attributes& attributes) -> PreparedCall {
            return [&row, inputs, attributes] { return row.call(inputs, attributes); };
          },
          .length = row.length,
          .flops = row.flops,
          .bytes = least_bytes};
}

// One step from the beginning, of the weights of one hidden layer: weight and gradient in turn.
OpCase adamw_case(const Sizes& n) {
  OpCase c{"hidden layer", {}};
  for (const Shape& shape : {Shape{4 * n.C, n.C}, Shape{4 * n.C}, Shape{n.C, 4 * n.C}, Shape{n.C}}) {
    c.inputs.push_back({.shape = shape});
    c.inputs.push_back({.shape = shape, .scale = 0.1});
  }
  return c;
}

PreparedCall prepare_adamw(const std::vector<Tensor>& inputs, const Attributes&) {
  std::vector<NamedTensor> parameters;
  for (size_t i = 0; i < inputs.size(); i += 2)
    parameters.push_back({"w" + std::to_string(i / 2), inputs[i].clone().set_requires_grad()});
  const auto optimizer = std::make_shared<AdamW>(parameters, AdamOptions{.lr = 1e-3, .weight_decay = 0.1});
  for (size_t i = 0; i < inputs.size(); i += 2) parameters[i / 2].second.set_grad(inputs[i + 1]);
  return [optimizer, parameters] {
    optimizer->enqueue_step();
    Outputs weights;
    for (const NamedTensor& parameter : parameters) weights.push_back(parameter.second.detach());
    return weights;
  };
}

double elements_of(Inputs inputs) {
  double elements = 0;
  for (size_t i = 0; i < inputs.size(); i += 2) elements += static_cast<double>(inputs[i].numel());
  return elements;
}

BenchKernel adamw() {
  return {
      .name = "adamw",
      .takes = [](DType dtype) { return is_floating(dtype); },
      .bench = adamw_case,
      .prepare = prepare_adamw,
      .length = [](Inputs, const Attributes&) { return int64_t{1}; },
      .flops = [](Inputs in, const Outputs&) { return 14 * elements_of(in); },
      // The gradient is read twice, for the norm and for the update; weight and moments are read and written, in
      // bf16 the master too.
      .bytes =
          [](Inputs in, const Outputs&) {
            const DType dtype = in[0].dtype();
            const double narrow = static_cast<double>(size_of(dtype));
            return elements_of(in) * (dtype == DType::bf16 ? 2 * narrow + 2 * narrow + 6 * 4 : 8 * narrow);
          }};
}

Technique of_variant(Variants& variants, size_t i) {
  const Variant& variant = variants.all()[i];
  return {.name = std::string(variant.name),
          .file = std::string(variant.file),
          .role = i == variants.chosen() ? Role::production
                  : variant.library      ? Role::library
                                         : Role::rung,
          .versions = &variants};
}

}  // namespace

std::vector<BenchKernel> bench_kernels() {
  std::vector<BenchKernel> all;
  for (const OpRow& row : op_table()) all.push_back(of_row(row));
  all.push_back(adamw());
  return all;
}

const char* name(Pass pass) { return pass == Pass::forward ? "forward" : "forward and backward"; }

namespace {
constexpr const char* kRoles[] = {"only", "rung", "production", "library", "own"};
}

const char* name(Role role) { return kRoles[static_cast<int>(role)]; }

Role parse_role(const std::string& name) {
  for (size_t i = 0; i < std::size(kRoles); ++i)
    if (name == kRoles[i]) return static_cast<Role>(i);
  fail("there is no role '", name, "'");
}

std::vector<Technique> techniques_of(const BenchKernel& kernel, Pass pass, const std::string& device) {
  std::vector<Technique> all;
  const bool is_linear = kernel.name == "linear";  // computed by matmul's versions; their ladder is matmul's
  Technique production{.name = "", .file = "", .role = Role::production};
  std::vector<Technique> libraries;
  for (Variants* variants : all_variants()) {
    if (variants->kernel() != (is_linear ? "matmul" : kernel.name) || variants->device() != device ||
        (pass == Pass::forward_and_backward && variants->passes() == Passes::forward))
      continue;
    const size_t versions = variants->all().size();
    for (size_t i = 1; i <= versions; ++i) {
      Technique technique = of_variant(*variants, i % versions);  // the first is the ladder's last
      if (technique.role == Role::production) {
        production = technique;
      } else if (technique.role == Role::library) {
        libraries.push_back(technique);
      } else if (!is_linear) {
        all.push_back(technique);
      }
    }
  }
  all.push_back(production);
  all.insert(all.end(), libraries.begin(), libraries.end());
  if (pass == Pass::forward)
    for (const OwnKernel* own : own_kernels()) {
      if (own->op != kernel.name || own->device != device) continue;
      all.push_back(
          {.name = own->name,
           .file = own->file,
           .role = Role::own,
           .prepare = [own](const std::vector<Tensor>& inputs, const Attributes& attributes) -> PreparedCall {
             return [own, inputs, attributes] { return own->call(inputs, attributes); };
           }});
    }
  if (all.size() == 1) all[0] = {};
  for (Technique& technique : all)
    if (technique.role == Role::production && technique.name.empty()) technique.name = "production";
  return all;
}

}  // namespace galvan
