#include "core/cpu/gemm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/parallel.h"
#include "tests/core/each_isa.h"
#include "tests/core/each_variant.h"
#include "tests/core/gemm_case.h"
#include "tests/core/worst.h"

using namespace galvan;

namespace {

// Numbers in [-1, 1) that bfloat16 can hold exactly, from a small congruential generator.
struct Numbers {
  uint32_t state = 1;
  float operator()() {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(state >> 24) / 128.0f - 1.0f;
  }
};

// The operands of a case, with rows longer than needed so that a wrong leading dimension shows, and a guard
// value in all that gemm must not write.
template <class In, class Out>
struct Operands {
  static constexpr float kGuard = 77.0f;
  std::vector<In> a, b, bias;
  std::vector<Out> c;
  Gemm<In, Out> g;

  explicit Operands(GemmCase t) {
    t.padding = 3;
    Numbers number;
    const auto fill = [&](auto& v, int64_t size) {
      using T = std::decay_t<decltype(v[0])>;
      for (int64_t i = 0; i < size; ++i) v.push_back(static_cast<T>(number()));
    };
    fill(a, t.a_elements());
    fill(b, t.b_elements());
    fill(bias, t.n);
    c.assign(t.c_elements(), static_cast<Out>(kGuard));
    g = t.of<In, Out>(a.data(), b.data(), c.data(), bias.data());
    for_each_c([&](int64_t, int64_t, int64_t, Out& value) { value = static_cast<Out>(number()); });
  }

  template <class F>
  void for_each_c(const F& f) {
    for (int64_t i = 0; i < g.batch; ++i) {
      for (int64_t r = 0; r < g.m; ++r) {
        for (int64_t s = 0; s < g.n; ++s) f(i, r, s, c[i * g.batch_stride_c + r * g.ldc + s]);
      }
    }
  }

  // C by three loops in double.
  std::vector<double> expected() {
    std::vector<double> result(c.begin(), c.end());
    for_each_c([&](int64_t i, int64_t r, int64_t s, const Out& before) {
      double sum =
          (g.accumulate ? static_cast<double>(before) : 0.0) + (g.bias ? static_cast<double>(bias[s]) : 0.0);
      for (int64_t k = 0; k < g.k; ++k) {
        const int64_t at_a = g.transpose_a ? k * g.lda + r : r * g.lda + k;
        const int64_t at_b = g.transpose_b ? s * g.ldb + k : k * g.ldb + s;
        sum += static_cast<double>(a[i * g.batch_stride_a + at_a]) *
               static_cast<double>(b[i * g.batch_stride_b + at_b]);
      }
      result[i * g.batch_stride_c + r * g.ldc + s] = sum;
    });
    return result;
  }
};

template <class In, class Out>
void check_case(const GemmCase& t) {
  CAPTURE(t.m);
  CAPTURE(t.n);
  CAPTURE(t.k);
  CAPTURE(t.transpose_a);
  CAPTURE(t.transpose_b);
  CAPTURE(t.bias);
  CAPTURE(t.accumulate);
  Operands<In, Out> operands(t);
  const std::vector<double> expected = operands.expected();
  gemm(operands.g);
  const double unit = std::is_same_v<Out, bfloat16> ? 1.0 / 256
                      : std::is_same_v<Out, double> ? 1e-15
                                                    : 1.2e-7;
  double worst = 0;  // in units of what the sum's terms may have lost
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = std::abs(static_cast<double>(operands.c[i]) - expected[i]);
    worst = worse(worst, error / (unit * (std::abs(expected[i]) + std::sqrt(static_cast<double>(t.k) + 1))));
  }
  CHECK(worst < 2);
}

const std::vector<GemmCase> kShapes = {{1, 1, 1},     {0, 5, 3},    {5, 0, 3},   {3, 5, 0},    {2, 3, 4},
                                       {1, 33, 17},   {13, 1, 31},  {7, 31, 33}, {12, 32, 16}, {13, 65, 31},
                                       {25, 47, 513}, {64, 64, 32}, {49, 97, 7}, {5, 128, 65}, {61, 16, 129}};

}  // namespace

TEST_CASE_TEMPLATE("gemm equals three loops in f64", T, float, double, bfloat16) {
  for_each_isa([] {
    for (const GemmCase& shape : kShapes) {
      for (int flags = 0; flags < 16; ++flags) {
        GemmCase t = shape;
        t.transpose_a = flags & 1;
        t.transpose_b = flags & 2;
        t.bias = flags & 4;
        t.accumulate = flags & 8;
        check_case<T, T>(t);
      }
    }
  });
}

TEST_CASE("gemm of bfloat16 into float keeps the float sums") {
  for_each_isa([] {
    for (const GemmCase& shape : kShapes) {
      check_case<bfloat16, float>(shape);
      check_case<bfloat16, float>({shape.m, shape.n, shape.k, true, true, true, true});
    }
  });
}

TEST_CASE("gemm of sums longer than a block, and of rows that would share cache lines") {
  for_each_isa([] {
    check_case<float, float>({14, 35, 1300, false, true, true});
    check_case<float, float>({14, 35, 1300, true, false, false, true});
    check_case<double, double>({14, 35, 700, true});
    check_case<bfloat16, bfloat16>({14, 35, 1300, false, true, true});
    check_case<bfloat16, bfloat16>({14, 35, 2500, true, false, true, true});
    check_case<float, float>({14, 35, 1021, false, false});  // lda is 1024
    check_case<float, float>({3, 4200, 5});                  // wider than what is packed at a time
  });
}

TEST_CASE("gemm of a transposed A, read in place beside few panels of B and packed beside many") {
  for_each_isa([] {
    for (int64_t n : {64, 65, 128, 129, 256, 257, 512, 513}) {  // 32 vectors end at 64 to 512 columns
      check_case<float, float>({13, n, 65, true});
      check_case<float, float>({25, n, 530, true, false, true});  // longer than a block of k
      check_case<double, double>({13, n, 270, true, true, false, true});
    }
    check_case<float, float>({1, 33, 40, true});
    check_case<float, float>({31, 37, 1, true});
  });
}

TEST_CASE("gemm over a batch, with one B for all or one each") {
  for (const bool shared_b : {false, true}) {
    for (const int64_t batch : {0, 1, 2, 7}) {
      for (const bool transpose_a : {false, true}) {
        check_case<float, float>({9, 17, 33, transpose_a, true, true, false, batch, shared_b});
        check_case<float, float>({130, 127, 129, transpose_a, false, false, true, batch, shared_b});
      }
    }
  }
}

TEST_CASE_TEMPLATE("every version takes every layout", T, float, double, bfloat16) {
  for_each_variant("matmul", "cpu", [](Variants& versions) {
    const auto check_all = [] {
      for (const GemmCase& shape :
           {GemmCase{3, 5, 0}, GemmCase{1, 1, 1}, GemmCase{13, 35, 31}, GemmCase{25, 65, 19}})
        for (int flags = 0; flags < 16; ++flags) {
          const bool transpose_a = flags & 1, transpose_b = flags & 2, bias = flags & 4,
                     accumulate = flags & 8;
          check_case<T, T>({shape.m, shape.n, shape.k, transpose_a, transpose_b, bias, accumulate, 2, bias});
        }
      if constexpr (std::is_same_v<T, bfloat16>) check_case<T, float>({14, 35, 67, true, true, true, true});
    };
    versions.all()[versions.chosen()].name == "micro_kernel" ? for_each_isa(check_all) : check_all();
  });
}

TEST_CASE("a batch whose rows continue is one product") {
  Operands<float, float> parts({9, 17, 33, false, true, true, false, 4, true});
  parts.g.batch_stride_a = 9 * parts.g.lda;
  parts.g.batch_stride_c = 9 * parts.g.ldc;
  const std::vector<double> expected = parts.expected();
  gemm(parts.g);
  parts.for_each_c([&](int64_t i, int64_t r, int64_t s, float& value) {
    CHECK(value == doctest::Approx(expected[i * parts.g.batch_stride_c + r * parts.g.ldc + s]).epsilon(1e-4));
  });
}

TEST_CASE("gemm gives the same bits for every number of threads") {
  const int before = threads();
  for (const GemmCase& t :
       {GemmCase{203, 135, 701, false, true, true}, GemmCase{203, 135, 701, true, false}}) {
    std::vector<float> first;
    for (const int count : {1, 2, 3, 7}) {
      set_threads(count);
      for (int repeat = 0; repeat < 3; ++repeat) {
        Operands<float, float> operands(t);
        gemm(operands.g);
        if (first.empty()) first = operands.c;
        CHECK(std::memcmp(first.data(), operands.c.data(), first.size() * sizeof(float)) == 0);
      }
    }
  }
  set_threads(before);
}

TEST_CASE("gemm inside a task, and NaN and infinity come through") {
  std::vector<float> c(4 * 4 * 4);
  const std::vector<float> ones(16, 1.0f);
  parallel_for(4, [&](int64_t task) {
    gemm<float, float>({.m = 4,
                        .n = 4,
                        .k = 4,
                        .a = ones.data(),
                        .lda = 4,
                        .b = ones.data(),
                        .ldb = 4,
                        .c = c.data() + task * 16,
                        .ldc = 4});
  });
  for (const float value : c) CHECK(value == 4.0f);

  const float a[] = {INFINITY, NAN, 1.0f}, b[] = {0.0f, 1.0f, 2.0f};
  float outer[9];
  gemm<float, float>({.m = 3, .n = 3, .k = 1, .a = a, .lda = 1, .b = b, .ldb = 3, .c = outer, .ldc = 3});
  CHECK(std::isnan(outer[0]));
  CHECK(outer[1] == INFINITY);
  CHECK(std::isnan(outer[4]));
  CHECK(outer[8] == 2.0f);
}

TEST_CASE_TEMPLATE("Eigen gives the same products", T, float, double, bfloat16) {
  const ChosenVariant eigen(variants_of("matmul", "cpu"), "eigen");
  for (const GemmCase& shape : kShapes) {
    check_case<T, T>(shape);
    check_case<T, T>({shape.m, shape.n, shape.k, true, false, true, true});
    check_case<T, T>({shape.m, shape.n, shape.k, false, true, true});
    check_case<T, T>({shape.m, shape.n, shape.k, true, true, false, true});
  }
}
