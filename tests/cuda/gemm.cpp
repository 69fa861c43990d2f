// Matrix products on the card equal the CPU's.
#include <algorithm>
#include <string>

#include "cuda/runtime/matmul.h"
#include "cuda/runtime/recorder.h"
#include "gemm_case.h"

using namespace galvan;

namespace {

// y = x w, dense, in floats.
Gemm<float, float> dense_product(const float* x, const float* w, float* y, int64_t m, int64_t n, int64_t k) {
  return {.m = m, .n = n, .k = k, .a = x, .lda = k, .b = w, .ldb = n, .c = y, .ldc = n};
}

// c [m, n] = a [m, k] b [n, k]^T + bias, all dense.
template <class T>
Gemm<T, T> with_transposed(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* c, const T* bias) {
  return {.m = m,
          .n = n,
          .k = k,
          .a = a,
          .lda = k,
          .b = b,
          .ldb = k,
          .transpose_b = true,
          .c = c,
          .ldc = n,
          .bias = bias};
}

bool is_listed(const std::string& part) {
  const std::vector<std::string> lines = matmul_algorithms();
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

// The products that do more: with cublasLt's epilogues where they do (GELU's for bfloat16, n a multiple of 8), and kernels
// of ours.
template <class T>
void check_products_that_do_more(int64_t m, int64_t n, int64_t k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const Stream stream;
  const Cuda cuda{stream};
  Both<T> x(random_values<T>(m * k, "x", -0.2, 0.2)), w(random_values<T>(n * k, "w")),
      bias(random_values<T>(n, "bias")), h(m * n), kept(m * n);
  const auto forward = [&](auto on) {
    gemm_gelu(on, with_transposed(m, n, k, x.on(on), w.on(on), h.on(on), bias.on(on)), kept.on(on));
  };
  forward(Cpu{});
  forward(cuda);
  // A sum kept in T is rounded before it goes on, on one device and not on the other.
  h.check(4 * tolerance<T>(k + 2));

  // dz = (dy down) gelu'(z), with x for dy; for down w as it lies, or w^T.
  for (const bool transposed : {false, true}) {
    Both<T> dz(m * n), dbias(n);
    Both<Acc<T>> partial(row_blocks(m) * n);
    for (const bool wants_dbias : {true, false}) {
      const auto backward = [&](auto on) {
        Gemm<T, T> g = with_transposed<T>(m, n, k, x.on(on), w.on(on), dz.on(on), nullptr);
        g.transpose_b = transposed;
        if (!transposed) g.ldb = n;
        gemm_gelu_backward(on, g, bias.on(on), kept.on(on), dbias.on(on, wants_dbias), partial.on(on));
      };
      backward(Cpu{});
      backward(cuda);
      dz.check(4 * tolerance<T>(k + 2));
      if (wants_dbias) dbias.check(4 * tolerance<T>(m + k));
    }
  }

  // dw = h^T x and the sums of h's columns.
  Both<T> h_of_both(h.host), dw(n * k), sums(n);
  const auto weight = [&](auto on) {
    gemm_column_sums(on,
                     Gemm<T, T>{.m = n,
                                .n = k,
                                .k = m,
                                .a = h_of_both.on(on),
                                .lda = n,
                                .transpose_a = true,
                                .b = x.on(on),
                                .ldb = k,
                                .c = dw.on(on),
                                .ldc = k},
                     sums.on(on));
  };
  weight(Cpu{});
  weight(cuda);
  dw.check(tolerance<T>(m + 2));
  sums.check(tolerance<T>(m + 2));
}

}  // namespace

TEST_CASE_TEMPLATE("gemm equals the CPU's in odd sizes and all transposes", T, float, double, bfloat16) {
  const Stream stream;
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const int64_t m : {1, 33}) {
        for (const int64_t n : {1, 31, 65}) {
          for (const int64_t k : {1, 32, 257})
            check_gemm<T>({stream},
                          {.m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b});
        }
      }
      check_gemm<T>({stream},
                    {.m = 64, .n = 128, .k = 32, .transpose_a = transpose_a, .transpose_b = transpose_b});
    }
  }
}

TEST_CASE_TEMPLATE("gemm adds a bias, adds to C, and keeps to its rows", T, float, double, bfloat16) {
  const Stream stream;
  for (const bool bias : {false, true}) {
    for (const bool accumulate : {false, true}) {
      for (const int64_t padding : {0, 3, 8}) {
        for (const bool transpose : {false, true})
          check_gemm<T>({stream}, {.m = 17,
                                   .n = 40,
                                   .k = 24,
                                   .transpose_a = transpose,
                                   .transpose_b = !transpose,
                                   .bias = bias,
                                   .accumulate = accumulate,
                                   .padding = padding});
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm in batches", T, float, double, bfloat16) {
  const Stream stream;
  for (const bool shared_a : {false, true}) {
    for (const bool shared_b : {false, true}) {
      for (const int64_t padding : {0, 5})
        check_gemm<T>({stream}, {.m = 9,
                                 .n = 16,
                                 .k = 33,
                                 .transpose_b = shared_a,
                                 .bias = shared_b,
                                 .accumulate = padding > 0,
                                 .batch = 5,
                                 .shared_b = shared_b,
                                 .shared_a = shared_a,
                                 .padding = padding});
    }
  }
}

TEST_CASE_TEMPLATE("gemm of nothing", T, float, double, bfloat16) {
  const Stream stream;
  check_gemm<T>({stream}, {.m = 0, .n = 3, .k = 4});
  check_gemm<T>({stream}, {.m = 3, .n = 0, .k = 4, .bias = true});
  check_gemm<T>({stream}, {.m = 3, .n = 4, .k = 5, .batch = 0});
  for (const bool bias : {false, true}) {
    for (const bool accumulate : {false, true})
      check_gemm<T>(
          {stream},
          {.m = 3, .n = 5, .k = 0, .bias = bias, .accumulate = accumulate, .batch = 2, .padding = 2});
  }
}

TEST_CASE_TEMPLATE("gemm_gelu, its backward and gemm_column_sums equal the CPU's", T, float, double,
                   bfloat16) {
  for (const int64_t m : {0, 1, 33, 70}) {
    for (const int64_t n : {1, 8, 40, 65}) {
      for (const int64_t k : {1, 24, 300}) check_products_that_do_more<T>(m, n, k);
    }
  }
#ifdef GALVAN_CUDA_SIM  // a card's cublasLt may do without; the results are the same
  const bool has_sums = !std::is_same_v<T, double>, has_gelu = std::is_same_v<T, bfloat16>;
  const std::string size = concat(dtype_of<T>, " 33x40x24 lda 24 ldb 24 transposed ldc 40");
  CHECK(is_listed(size + " bias gelu aligned") == has_gelu);
  CHECK(is_listed(concat(dtype_of<T>, " 40x24x33 lda 40 transposed ldb 24 ldc 24 sums aligned")) == has_sums);
  CHECK_FALSE(is_listed(concat(dtype_of<T>, " 33x65x24 lda 24 ldb 24 transposed ldc 65 bias gelu")));
  // Asked for, and refused.
  CHECK_FALSE(is_listed(concat(dtype_of<T>, " 1x40x24 lda 24 ldb 24 transposed ldc 40 bias gelu")));
  CHECK_FALSE(is_listed(concat(dtype_of<T>, " 1x24x33 lda 1 transposed ldb 24 ldc 24 sums")));
#endif
}

TEST_CASE_TEMPLATE("gemm_column_sums of replicas equals the CPU's", T, float, bfloat16) {
  const AsReplica as_replica;
  for (const int64_t m : {1, 70, 1000}) {
    for (const int64_t n : {8, 65, 136, 264}) check_products_that_do_more<T>(m, n, 24);
  }
}

// Several tiles of our kernel either way, and of rows more than there are blocks for.
TEST_CASE("gemm_gelu's backward in bfloat16 equals the CPU's in larger sizes") {
  check_products_that_do_more<bfloat16>(200, 136, 72);
  check_products_that_do_more<bfloat16>(1000, 136, 152);
  check_products_that_do_more<bfloat16>(33'000, 8, 8);
}

TEST_CASE("gemm sees that an address is less aligned than one before") {
  const Stream stream;
  const Both<float> x(random_values<float>(64 * 64 + 1, "x")), w(random_values<float>(64 * 64 + 1, "w"));
  Both<float> y(64 * 64 + 1);
  for (const int64_t offset : {0, 1}) {
    const auto both = [&](auto on, const float* x_data, const float* w_data, float* y_data) {
      gemm(on, dense_product(x_data + offset, w_data + offset, y_data + offset, 64, 64, 64));
    };
    both(Cpu{}, x.host.data(), w.host.data(), y.host.data());
    both(Cuda{stream}, x.device.data(), w.device.data(), y.device.data());
    y.check(tolerance<float>(64));
  }
}

TEST_CASE("Two streams' products do not meet in one workspace") {
  const Both<float> x(random_values<float>(16 * 1024, "x")), w(random_values<float>(1024 * 16, "w"));
  const DeviceArray<float> first(16 * 16), second(16 * 16);
  {
    const Stream one, other;
    gemm(Cuda{one}, dense_product(x.device.data(), w.device.data(), first.data(), 16, 16, 1024));
    gemm(Cuda{other}, dense_product(x.device.data(), w.device.data(), second.data(), 16, 16, 1024));
  }
  CHECK(first.values() == second.values());
}

TEST_CASE("gemm in a captured graph gives the bits of the call") {
  const Stream stream;
  const Both<float> x(random_values<float>(33 * 40, "x")), w(random_values<float>(40 * 65, "w"));
  const DeviceArray<float> eager(33 * 65), replayed(33 * 65);
  const auto product = [&](const DeviceArray<float>& y) {
    gemm(Cuda{stream}, dense_product(x.device.data(), w.device.data(), y.data(), 33, 65, 40));
  };
  product(eager);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  GALVAN_CUDA_CALL(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  product(replayed);
  GALVAN_CUDA_CALL(cudaStreamEndCapture(stream, &graph));
  GALVAN_CUDA_CALL(cudaGraphInstantiate(&exec, graph, 0));
  GALVAN_CUDA_CALL(cudaGraphLaunch(exec, stream));
  stream.synchronize();
  CHECK(eager.values() == replayed.values());
  GALVAN_CUDA_CALL(cudaGraphExecDestroy(exec));
  GALVAN_CUDA_CALL(cudaGraphDestroy(graph));
}

TEST_CASE("A stream's first product cannot be captured") {
  const Stream stream;
  const DeviceArray<float> x(4), y(4);
  GALVAN_CUDA_CALL(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CHECK_THROWS_WITH_AS(
      gemm(Cuda{stream}, dense_product(x.data(), x.data(), y.data(), 2, 2, 2)),
      "cuda: a stream's first matrix product or sum over blocks allocates memory, so it cannot be captured: "
      "run the work once before",
      Error);
  cudaGraph_t graph = nullptr;
  GALVAN_CUDA_CALL(cudaStreamEndCapture(stream, &graph));
  GALVAN_CUDA_CALL(cudaGraphDestroy(graph));
}

TEST_CASE("The algorithms are listed, TF32 only where it is asked for") {
  const Stream stream;
  const DeviceArray<float> x(21 * 22), w(22 * 23), y(21 * 23);
  const auto product = [&] { gemm(Cuda{stream}, dense_product(x.data(), w.data(), y.data(), 21, 23, 22)); };
  product();
  CHECK(is_listed("f32 21x23x22 lda 22 ldb 23 ldc 23 aligned 256 256 256 256: algorithm "));
  CHECK_FALSE(is_listed("(tf32)"));
  set_tf32(true);
  product();
  set_tf32(false);
  CHECK(is_listed("f32 (tf32) 21x23x22 lda 22 ldb 23 ldc 23 aligned 256 256 256 256: algorithm "));
}
