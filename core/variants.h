// Kernels that there are several versions of: the one that training uses, and the rungs of the ladder that led up to it
// (core/cpu/ladder, cuda/ladder). Any of them can be put in its place, to be checked, measured, or trained with.
//
//   Variants softmax("softmax", "cpu", {{"vectorised", "core/cpu/rows.cpp"}, {"naive", "core/cpu/ladder/softmax_1_naive.cpp"}});
//
//   template <class T>
//   void softmax_forward(Cpu on, const T* x, T* y, int64_t rows, int64_t columns) {
//     static constexpr decltype(&naive<T>) kRungs[] = {vectorised<T>, naive<T>};  // in the same order
//     kRungs[softmax.chosen()](on, x, y, rows, columns);
//   }
#pragma once

#include <atomic>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace galvan {

struct Variant {
  std::string_view name;
  std::string_view file;  // where it stands
};

class Variants {
 public:
  // Everything lives as long as the program. The first is what training uses, the others are its ladder, from the lowest
  // rung up.
  Variants(std::string_view kernel, std::string_view device, std::initializer_list<Variant> all);
  Variants(const Variants&) = delete;
  Variants& operator=(const Variants&) = delete;

  std::string_view kernel() const { return kernel_; }
  std::string_view device() const { return device_; }  // "cpu" or "cuda"
  std::span<const Variant> all() const { return all_; }

  size_t chosen() const { return chosen_.load(std::memory_order_relaxed); }
  // Throws Error "softmax on cpu: there is no 'fast', only vectorised, naive". Not while kernels run.
  void choose(std::string_view name);

 private:
  std::string_view kernel_, device_;
  std::vector<Variant> all_;
  std::atomic<size_t> chosen_ = 0;
};

// All there are, by device and kernel.
std::vector<Variants*> all_variants();

// "softmax=naive", on every device that has it so. Throws Error when there is no such kernel, or no device has the version.
void choose_variant(std::string_view text);

}  // namespace galvan
