// cublasLt on the simulated card. It is as fussy as the real one may be: an algorithm works only for addresses as
// aligned as the heuristic was told, deep products sum in the workspace, a product of doubles has no epilogue, and one
// of a single column none but the bias.
#include <cublasLt.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/cpu/gemm.h"
#include "core/pointwise.h"
#include "cuda/sim/launch.h"
#include "cuda/sim/watch.h"

using galvan::sim::Operation;
using galvan::sim::Rows;

struct cublasLtContext {};
struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType_t type;
  int64_t rows, columns, leading;
  int32_t batch = 1;
  int64_t batch_stride = 0;
};
struct cublasLtMatmulDescOpaque_t {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* vector = nullptr;  // bias, or its gradient
  void* aux = nullptr;
  int64_t aux_leading = 0;
  int64_t vector_stride = 0, aux_stride = 0;  // of a batch
};
struct cublasLtMatmulPreferenceOpaque_t {
  uint64_t workspace_bytes = 0;
  uint32_t reduction_mask = 7;
  uint32_t alignment_a = 256, alignment_b = 256, alignment_c = 256, alignment_d = 256;
};

namespace {

bool batched_epilogues = true;

// What an algorithm's opaque words hold.
struct Algorithm {
  uint32_t alignment_a, alignment_b, alignment_d, alignment_vector, alignment_aux;
  int32_t splits;
  uint64_t workspace_bytes;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

template <class T>
cublasStatus_t read(T& to, const void* value, size_t bytes) {
  if (bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

size_t size_of(cudaDataType_t type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }

bool is_aligned(const void* address, uint32_t bytes) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}
uint32_t alignment_of(const void* address) {
  uint32_t alignment = 1;
  while (alignment < 256 && is_aligned(address, 2 * alignment)) alignment *= 2;
  return alignment;
}

bool has_aux(uint32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS; }
bool has_bias(uint32_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
}
bool has_sums(uint32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_BGRADB; }

bool fits(const cublasLtMatrixLayoutOpaque_t& x, bool transposed, int64_t rows, int64_t columns) {
  return (transposed ? x.columns : x.rows) == rows && (transposed ? x.rows : x.columns) == columns &&
         rows > 0 && columns > 0 && x.leading >= x.rows;
}

// What the caller has got wrong, or asks for in vain.
cublasStatus_t examine(const cublasLtMatmulDescOpaque_t& operation, const cublasLtMatrixLayoutOpaque_t& a,
                       const cublasLtMatrixLayoutOpaque_t& b, const cublasLtMatrixLayoutOpaque_t& d) {
  const bool transpose_a = operation.transpose_a == CUBLAS_OP_T,
             transpose_b = operation.transpose_b == CUBLAS_OP_T;
  const int64_t k = transpose_a ? a.rows : a.columns;
  if (!fits(a, transpose_a, d.rows, k) || !fits(b, transpose_b, k, d.columns) ||
      !fits(d, false, d.rows, d.columns) || a.batch != d.batch || b.batch != d.batch)
    return CUBLAS_STATUS_INVALID_VALUE;
  const uint32_t epilogue = operation.epilogue;
  const bool known =
      epilogue == CUBLASLT_EPILOGUE_DEFAULT || has_aux(epilogue) || has_bias(epilogue) || has_sums(epilogue);
  if (!known ||
      (has_aux(epilogue) &&
       (!operation.aux || operation.aux_leading < d.rows || operation.aux_leading % 8 != 0)) ||
      ((has_bias(epilogue) || has_sums(epilogue)) && !operation.vector))
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool is_double = d.type == CUDA_R_64F;
  if (a.type != d.type || b.type != d.type || is_double != (operation.compute == CUBLAS_COMPUTE_64F) ||
      operation.scale != (is_double ? CUDA_R_64F : CUDA_R_32F) ||
      (operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && d.type != CUDA_R_32F) ||
      (is_double && epilogue != CUBLASLT_EPILOGUE_DEFAULT) ||
      (d.columns == 1 && (has_aux(epilogue) || has_sums(epilogue))) ||
      (d.batch > 1 && epilogue != CUBLASLT_EPILOGUE_DEFAULT && !batched_epilogues) ||
      (d.batch > 1 && ((has_aux(epilogue) && operation.aux_stride == 0) ||
                       (has_sums(epilogue) && operation.vector_stride == 0))))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

// A column-major product is the row-major one of the transposes, in the other order.
template <class T>
galvan::Gemm<T, T> product_of(const cublasLtMatmulDescOpaque_t& operation, const void* a,
                              const cublasLtMatrixLayoutOpaque_t& a_layout, const void* b,
                              const cublasLtMatrixLayoutOpaque_t& b_layout, void* d,
                              const cublasLtMatrixLayoutOpaque_t& d_layout, bool accumulate) {
  return {.m = d_layout.columns,
          .n = d_layout.rows,
          .k = operation.transpose_a == CUBLAS_OP_T ? a_layout.rows : a_layout.columns,
          .a = static_cast<const T*>(b),
          .lda = b_layout.leading,
          .transpose_a = operation.transpose_b == CUBLAS_OP_T,
          .b = static_cast<const T*>(a),
          .ldb = a_layout.leading,
          .transpose_b = operation.transpose_a == CUBLAS_OP_T,
          .c = static_cast<T*>(d),
          .ldc = d_layout.leading,
          .bias = has_bias(operation.epilogue) ? static_cast<const T*>(operation.vector) : nullptr,
          .accumulate = accumulate,
          .batch = d_layout.batch,
          .batch_stride_a = b_layout.batch_stride,
          .batch_stride_b = a_layout.batch_stride,
          .batch_stride_c = d_layout.batch_stride};
}

template <class T>
void add_rows(std::vector<Rows>& to, const T* x, int64_t rows, int64_t columns, int64_t leading,
              int64_t batch, int64_t batch_stride) {
  for (int64_t i = 0; i < (batch_stride == 0 ? 1 : batch); ++i)
    to.push_back({x + i * batch_stride, static_cast<size_t>(columns) * sizeof(T), static_cast<size_t>(rows),
                  static_cast<size_t>(leading) * sizeof(T)});
}

// What is done besides, by the description that stood when the call was made.
template <class T>
struct Extra {
  uint32_t epilogue;
  T* vector;
  T* aux;
  int64_t aux_leading;
  int64_t vector_stride, aux_stride;
};

// The product in the type that it is summed in, then the epilogue, rounded once.
template <class T>
void multiply_with_aux(const galvan::Gemm<T, T>& g, const Extra<T>& extra, T* aux) {
  using A = galvan::Acc<T>;
  std::vector<A> wide(static_cast<size_t>(g.m * g.n));
  galvan::gemm(galvan::Gemm<T, A>{.m = g.m,
                                  .n = g.n,
                                  .k = g.k,
                                  .a = g.a,
                                  .lda = g.lda,
                                  .transpose_a = g.transpose_a,
                                  .b = g.b,
                                  .ldb = g.ldb,
                                  .transpose_b = g.transpose_b,
                                  .c = wide.data(),
                                  .ldc = g.n,
                                  .bias = g.bias});
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      const A value = wide[static_cast<size_t>(i * g.n + j)];
      aux[i * extra.aux_leading + j] = T(value);
      g.c[i * g.ldc + j] = T(galvan::GeluTanh()(value));
    }
  }
}

// Sums of op(A)'s rows; cublasLt's B is A.
template <class T>
void sum_rows(const galvan::Gemm<T, T>& g, T* sums) {
  for (int64_t i = 0; i < g.m; ++i) {
    galvan::Acc<T> sum = 0;
    for (int64_t k = 0; k < g.k; ++k)
      sum += galvan::Acc<T>(g.transpose_a ? g.a[k * g.lda + i] : g.a[i * g.lda + k]);
    sums[i] = T(sum);
  }
}

template <class T>
void run(Operation operation, const galvan::Gemm<T, T>& g, const Extra<T>& extra, void* workspace,
         size_t workspace_bytes) {
  operation.name = "cublasLtMatmul";
  std::vector<Rows> reads, writes;
  add_rows(reads, g.a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, g.lda, g.batch,
           g.batch_stride_a);
  add_rows(reads, g.b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, g.ldb, g.batch,
           g.batch_stride_b);
  if (g.bias) add_rows(reads, g.bias, 1, g.n, g.n, g.batch, extra.vector_stride);
  add_rows(writes, g.c, g.m, g.n, g.ldc, g.batch, g.batch_stride_c);
  if (g.accumulate) reads.insert(reads.end(), writes.begin(), writes.end());
  if (workspace_bytes > 0) writes.push_back({workspace, workspace_bytes, 1, 0});
  if (has_aux(extra.epilogue))
    add_rows(writes, extra.aux, g.m, g.n, extra.aux_leading, g.batch, extra.aux_stride);
  if (has_sums(extra.epilogue)) add_rows(writes, extra.vector, 1, g.m, g.m, g.batch, extra.vector_stride);
  galvan::sim::call_library(operation, reads, writes);
  for (int64_t i = 0; i < g.batch; ++i) {
    galvan::Gemm<T, T> one = g;
    one.batch = 1;
    one.a += i * g.batch_stride_a;
    one.b += i * g.batch_stride_b;
    one.c += i * g.batch_stride_c;
    if (one.bias) one.bias += i * extra.vector_stride;
    if (has_aux(extra.epilogue)) {
      if constexpr (!std::is_same_v<T, double>)  // doubles have none
        multiply_with_aux(one, extra, extra.aux + i * extra.aux_stride);
    } else {
      galvan::gemm(one);
    }
    if (has_sums(extra.epilogue)) sum_rows(one, extra.vector + i * extra.vector_stride);
  }
  if (workspace_bytes > 0) std::memset(workspace, 0xff, workspace_bytes);
}

template <class T>
cublasStatus_t enqueue(const galvan::Gemm<T, T>& g, const Extra<T>& extra, void* workspace,
                       size_t workspace_bytes, cudaStream_t stream) {
  const cudaError_t error = galvan::sim::enqueue(
      stream, [=](const Operation& operation) { run(operation, g, extra, workspace, workspace_bytes); });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

void galvan::sim::allow_batched_epilogues(bool allowed) { batched_epilogues = allowed; }

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown status";
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "the function failed to launch on the GPU";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality requested is not supported";
  }
  return "unknown status";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
  *layout = new cublasLtMatrixLayoutOpaque_t{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns),
                                             leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                size_t bytes) {
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) return read(layout->batch, value, bytes);
  return read(layout->batch_stride, value, bytes);
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *operation = new cublasLtMatmulDescOpaque_t{compute, scale};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return read(operation->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return read(operation->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return read(operation->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return read(operation->vector, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return read(operation->aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return read(operation->aux_leading, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
      return read(operation->vector_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE:
      return read(operation->aux_stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  delete operation;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return read(preference->workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return read(preference->reduction_mask, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return read(preference->alignment_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return read(preference->alignment_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return read(preference->alignment_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return read(preference->alignment_d, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results, int* found) {
  *found = 0;
  const cublasStatus_t status = examine(*operation, *a, *b, *d);
  if (status != CUBLAS_STATUS_SUCCESS || wanted < 1) return status;
  Algorithm algorithm{.alignment_a = preference->alignment_a,
                      .alignment_b = preference->alignment_b,
                      .alignment_d = std::min(preference->alignment_c, preference->alignment_d),
                      .alignment_vector = alignment_of(operation->vector),
                      .alignment_aux = alignment_of(operation->aux),
                      .splits = 1,
                      .workspace_bytes = 0};
  const int64_t k = operation->transpose_a == CUBLAS_OP_T ? a->rows : a->columns;
  const uint64_t halves =
      2 * static_cast<uint64_t>(d->rows * d->columns * d->batch) * size_of(operation->scale);
  if (k >= 4 * std::max(d->rows, d->columns) && halves <= preference->workspace_bytes &&
      (preference->reduction_mask & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)) {
    algorithm.splits = 2;
    algorithm.workspace_bytes = halves;
  }
  *results = {};
  std::memcpy(&results->algo, &algorithm, sizeof algorithm);
  results->workspaceSize = algorithm.workspace_bytes;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  Algorithm algorithm;
  std::memcpy(&algorithm, algo, sizeof algorithm);
  int32_t number = 0;
  if (attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM) number = algorithm.splits;
  if (attribute == CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME && algorithm.splits > 1)
    number = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  const bool is_short =
      attribute == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID || attribute == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID;
  *written = is_short ? 2 : 4;
  if (bytes != *written) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &number, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  if (const auto status = examine(*operation, *a_layout, *b_layout, *d_layout);
      status != CUBLAS_STATUS_SUCCESS)
    return status;
  const auto scale = [&](const void* value) {
    return operation->scale == CUDA_R_64F ? *static_cast<const double*>(value)
                                          : double{*static_cast<const float*>(value)};
  };
  if (scale(alpha) != 1 || (scale(beta) != 0 && scale(beta) != 1) || c != d ||
      (scale(beta) != 0 && has_aux(operation->epilogue)))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  Algorithm algorithm;
  std::memcpy(&algorithm, algo, sizeof algorithm);
  if (!is_aligned(a, algorithm.alignment_a) || !is_aligned(b, algorithm.alignment_b) ||
      !is_aligned(d, algorithm.alignment_d) || !is_aligned(operation->vector, algorithm.alignment_vector) ||
      !is_aligned(operation->aux, algorithm.alignment_aux) || workspace_bytes < algorithm.workspace_bytes)
    return CUBLAS_STATUS_INVALID_VALUE;
  const auto start = [&]<class T>(T) {
    return enqueue(
        product_of<T>(*operation, a, *a_layout, b, *b_layout, d, *d_layout, scale(beta) == 1),
        Extra<T>{operation->epilogue, static_cast<T*>(operation->vector), static_cast<T*>(operation->aux),
                 operation->aux_leading, operation->vector_stride, operation->aux_stride},
        workspace, algorithm.workspace_bytes, stream);
  };
  if (d_layout->type == CUDA_R_64F) return start(double{});
  if (d_layout->type == CUDA_R_32F) return start(float{});
  return start(galvan::bfloat16{});
}
