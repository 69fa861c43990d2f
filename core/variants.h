// Kernels that there are several versions of: the one that training uses, the rungs of the ladder that led up to it
// (core/cpu/ladder, cuda/ladder), and a library's. A program can put any of them in its place, to check it, measure it, or
// train with it.
//
//   Variants softmax("softmax", "cpu",
//                    {{"vectorised", "core/cpu/rows.cpp"}, {"naive", "core/cpu/ladder/softmax_1_naive.cpp"}});
//
//   template <class T>
//   void softmax_forward(Cpu, const T* x, T* y, int64_t rows, int64_t columns) {
//     static constexpr decltype(&naive<T>) kVersions[] = {vectorised<T>, naive<T>};  // in the same order
//     softmax.pick(kVersions)(x, y, rows, columns);
//   }
#pragma once

#include <atomic>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"

namespace galvan {

struct Variant {
  std::string_view name;
  std::string_view file;  // where it stands
  bool library = false;   // somebody else's, which ours are measured by: no rung
};

// What the versions of a kernel do.
enum class Passes { forward, both };

class Variants {
 public:
  // Everything lives as long as the program. The first is what training uses, the others are its ladder, from the lowest
  // rung up, and libraries.
  Variants(std::string_view kernel, std::string_view device, std::initializer_list<Variant> all,
           Passes passes = Passes::forward);
  Variants(const Variants&) = delete;
  Variants& operator=(const Variants&) = delete;

  std::string_view kernel() const { return kernel_; }
  std::string_view device() const { return device_; }  // "cpu" or "cuda"
  std::span<const Variant> all() const { return all_; }
  Passes passes() const { return passes_; }

  size_t chosen() const { return chosen_.load(std::memory_order_relaxed); }
  // The chosen one's of what there is for each.
  template <class T, size_t N>
  const T& pick(const T (&of_each)[N]) const {
    check(N == all_.size(), kernel_, " on ", device_, ": ", N, " functions for ", all_.size(), " versions");
    return of_each[chosen()];
  }
  // Throws Error "softmax on cpu: there is no 'fast', only vectorised, naive". Not while kernels run.
  void choose(std::string_view name);

 private:
  std::string_view kernel_, device_;
  std::vector<Variant> all_;
  Passes passes_;
  std::atomic<size_t> chosen_ = 0;
};

// All there are, by device and kernel.
std::vector<Variants*> all_variants();
// Throws Error "there are no versions of 'dot' on cpu".
Variants& variants_of(std::string_view kernel, std::string_view device);

// "softmax=naive,matmul=eigen", on a device or, where it is "", on every one that has it so; "" chooses nothing. Throws
// Error when the device has no such kernel or version, and has chosen nothing then.
void choose_variants(std::string_view text, std::string_view device = "");

// While one lives, the version is the chosen one; then what was chosen before.
class ChosenVariant {
 public:
  ChosenVariant(Variants& variants, std::string_view name)
      : variants_(variants), before_(variants.all()[variants.chosen()].name) {
    variants.choose(name);
  }
  ~ChosenVariant() { variants_.choose(before_); }
  ChosenVariant(const ChosenVariant&) = delete;
  ChosenVariant& operator=(const ChosenVariant&) = delete;

 private:
  Variants& variants_;
  std::string_view before_;
};

}  // namespace galvan
