#include "cuda/runtime/matmul.h"

#include <cublasLt.h>

#include <algorithm>
#include <atomic>
#include <compare>
#include <map>
#include <memory>
#include <mutex>

#include "core/check.h"
#include "core/profile.h"
#include "cuda/runtime/recorder.h"
#include "cuda/runtime/workspace.h"

namespace galvan {
namespace {

std::atomic<bool> use_tf32{false};

void check_cublas(cublasStatus_t status, const char* call) {
  check(status == CUBLAS_STATUS_SUCCESS, "cuda: ", call, ": ", cublasLtGetStatusString(status), " (",
        cublasLtGetStatusName(status), ")");
}
#define GALVAN_CUBLAS_CALL(call) check_cublas((call), #call)

// All that the choice of an algorithm may depend on.
struct Kind {
  DType dtype = DType::f32;
  bool tf32 = false;
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;
  bool transpose_a = false, transpose_b = false;
  bool bias = false, accumulate = false;
  Epilogue epilogue = Epilogue::none;
  bool sums = false;
  int64_t batch = 1, batch_stride_a = 0, batch_stride_b = 0, batch_stride_c = 0;
  int64_t batch_stride_vector = 0, batch_stride_aux = 0;
  uint32_t alignment_a = 0, alignment_b = 0, alignment_c = 0;
  uint32_t alignment_vector = 0, alignment_aux = 0;

  auto operator<=>(const Kind&) const = default;
};

// The largest power of two, up to 256, that divides the address of each of the batch's matrices.
uint32_t alignment_of(const void* data, int64_t step_bytes) {
  const uint64_t bits = reinterpret_cast<uintptr_t>(data) | static_cast<uint64_t>(step_bytes) | 256;
  return static_cast<uint32_t>(bits & ~(bits - 1));
}

// The bias, or what takes sums.
template <class T>
const void* vector_of(const Gemm<T, T>& g, const MatmulExtra<T>& extra) {
  return g.bias ? g.bias : extra.sums;
}

template <class T>
Kind kind_of(const Gemm<T, T>& g, const MatmulExtra<T>& extra) {
  const bool several = g.batch > 1;
  Kind kind{.dtype = dtype_of<T>,
            .tf32 = dtype_of<T> == DType::f32 && tf32(),
            .m = g.m,
            .n = g.n,
            .k = g.k,
            .lda = g.lda,
            .ldb = g.ldb,
            .ldc = g.ldc,
            .transpose_a = g.transpose_a,
            .transpose_b = g.transpose_b,
            .bias = g.bias != nullptr,
            .accumulate = g.accumulate,
            .epilogue = extra.epilogue,
            .sums = extra.sums != nullptr,
            .batch = g.batch,
            .batch_stride_a = several ? g.batch_stride_a : 0,
            .batch_stride_b = several ? g.batch_stride_b : 0,
            .batch_stride_c = several ? g.batch_stride_c : 0,
            .batch_stride_vector = several ? extra.batch_stride_vector : 0,
            .batch_stride_aux = several ? extra.batch_stride_aux : 0};
  const auto bytes = [](int64_t elements) { return elements * static_cast<int64_t>(sizeof(T)); };
  kind.alignment_a = alignment_of(g.a, bytes(kind.batch_stride_a));
  kind.alignment_b = alignment_of(g.b, bytes(kind.batch_stride_b));
  kind.alignment_c = alignment_of(g.c, bytes(kind.batch_stride_c));
  kind.alignment_vector = alignment_of(vector_of(g, extra), bytes(kind.batch_stride_vector));
  kind.alignment_aux = alignment_of(extra.aux, bytes(kind.batch_stride_aux));
  return kind;
}

bool has_aux(const Kind& kind) { return kind.epilogue == Epilogue::gelu; }

// cublasLt's rows are C's columns, and its B is A (layout_of).
uint32_t epilogue_of(const Kind& kind) {
  switch (kind.epilogue) {
    case Epilogue::none:
      return kind.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    case Epilogue::gelu:
      return CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case Epilogue::row_sums:
      return CUBLASLT_EPILOGUE_BGRADB;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// What may be asked for: no extras with doubles, and an aux matrix has rows of a multiple of 8 elements. cublasLt's GELU
// is of a fast tanh, whose error of 5e-5 (seen on an H100) is below bfloat16's rounding, and not below float's.
bool may_exist(const Kind& kind) {
  if (kind.epilogue == Epilogue::none) return true;
  if (kind.dtype == DType::f64 || (kind.batch > 1 && kind.batch_stride_vector == 0)) return false;
  return !has_aux(kind) || (kind.dtype == DType::bf16 && kind.n % 8 == 0);
}

std::ostream& operator<<(std::ostream& out, const Kind& kind) {
  out << kind.dtype << (kind.tf32 ? " (tf32) " : " ") << kind.m << 'x' << kind.n << 'x' << kind.k << " lda "
      << kind.lda << (kind.transpose_a ? " transposed" : "") << " ldb " << kind.ldb
      << (kind.transpose_b ? " transposed" : "") << " ldc " << kind.ldc;
  if (kind.batch > 1)
    out << " batch " << kind.batch << " strides " << kind.batch_stride_a << ' ' << kind.batch_stride_b << ' '
        << kind.batch_stride_c;
  if (kind.batch_stride_vector != 0 || kind.batch_stride_aux != 0)
    out << ' ' << kind.batch_stride_vector << ' ' << kind.batch_stride_aux;
  out << (kind.bias ? " bias" : "") << (kind.accumulate ? " accumulate" : "");
  if (kind.epilogue == Epilogue::gelu) out << " gelu";
  out << (kind.sums ? " sums" : "") << " aligned " << kind.alignment_a << ' ' << kind.alignment_b << ' '
      << kind.alignment_c << ' ' << kind.alignment_vector;
  if (has_aux(kind)) out << ' ' << kind.alignment_aux;
  return out;
}

// A pointer to one of cublasLt's objects, which it destroys.
template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
struct Destroy {
  void operator()(Handle handle) const { kDestroy(handle); }
};
template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<Handle, kDestroy>>;

using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

struct Types {
  cudaDataType_t element, scale;
  cublasComputeType_t compute;
};

Types types_of(const Kind& kind) {
  if (kind.dtype == DType::f64) return {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
  return {kind.dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F, CUDA_R_32F,
          kind.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F};
}

template <class T>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  GALVAN_CUBLAS_CALL(cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof value));
}
template <class T>
void set(const Layout& layout, cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
  GALVAN_CUBLAS_CALL(cublasLtMatrixLayoutSetAttribute(layout.get(), attribute, &value, sizeof value));
}
template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  GALVAN_CUBLAS_CALL(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value));
}

// A row-major matrix is its transpose in columns, which is what cublasLt reads. So it is asked for
// C^T = op(B)^T op(A)^T: the operands change places, and keep whether they are transposed.
Layout layout_of(cudaDataType_t type, int64_t rows, int64_t columns, int64_t leading, int64_t batch,
                 int64_t batch_stride) {
  cublasLtMatrixLayout_t made = nullptr;
  GALVAN_CUBLAS_CALL(cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(columns),
                                                static_cast<uint64_t>(rows), leading));
  Layout layout(made);
  if (batch > 1) {
    set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch));
    set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, batch_stride);
  }
  return layout;
}

struct Plan {
  Operation operation;
  Layout a, b, c;
  bool exists = false;  // cublasLt has an algorithm
  cublasLtMatmulAlgo_t algorithm{};
  size_t workspace = 0;
};

template <class T>
T configured(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute) {
  T value{};
  size_t written = 0;
  GALVAN_CUBLAS_CALL(
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof value, &written));
  return value;
}

std::string describe(const cublasLtMatmulAlgo_t& algorithm) {
  return concat("algorithm ", configured<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_ID), " tile ",
                configured<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID), " stages ",
                configured<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID), " split ",
                configured<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM), " reduction ",
                configured<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME), " swizzle ",
                configured<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING), " custom ",
                configured<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION), " inner ",
                configured<uint16_t>(algorithm, CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID), " cluster ",
                configured<uint16_t>(algorithm, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID));
}

class Products {
 public:
  static Products& instance() {
    static Products products;
    return products;
  }

  // Whether cublasLt does that.
  template <class T>
  bool can(cudaStream_t stream, const Gemm<T, T>& g, const MatmulExtra<T>& extra) {
    const std::lock_guard lock(mutex_);
    return find_plan(kind_of(g, extra), vector_of(g, extra), extra.aux, workspace_of(stream).bytes) !=
           nullptr;
  }

  template <class T>
  bool compute(cudaStream_t stream, const Gemm<T, T>& g, const MatmulExtra<T>& extra) {
    const std::lock_guard lock(mutex_);
    const Workspace workspace = workspace_of(stream);
    const Kind kind = kind_of(g, extra);
    const void* const vector = vector_of(g, extra);
    Plan* const plan = find_plan(kind, vector, extra.aux, workspace.bytes);
    if (!plan) return false;
    if (vector) set(plan->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    if (extra.aux) set(plan->operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, extra.aux);
    const Acc<T> alpha = 1, beta = g.accumulate ? 1 : 0;
    const cublasStatus_t status = cublasLtMatmul(
        handle_.get(), plan->operation.get(), &alpha, g.b, plan->b.get(), g.a, plan->a.get(), &beta, g.c,
        plan->c.get(), g.c, plan->c.get(), &plan->algorithm, workspace.data, workspace.bytes, stream);
    check(status == CUBLAS_STATUS_SUCCESS, "cuda: matrix product ", kind, " by ", describe(plan->algorithm),
          ": ", cublasLtGetStatusString(status), " (", cublasLtGetStatusName(status), ")");
    if (profile::t_listener) profile::t_listener->launches("cublasLt");
    return true;
  }

  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> lines;
    for (const auto& [kind, plan] : plans_)
      if (plan.exists)
        lines.push_back(concat(kind, ": ", describe(plan.algorithm), " workspace ", plan.workspace));
    std::sort(lines.begin(), lines.end());
    return lines;
  }

 private:
  Products() {
    cublasLtHandle_t made = nullptr;
    GALVAN_CUBLAS_CALL(cublasLtCreate(&made));
    handle_.reset(made);
  }

  // Null: cublasLt has no algorithm for that.
  Plan* find_plan(const Kind& kind, const void* vector, void* aux, size_t workspace_bytes) {
    check(kind.epilogue == Epilogue::none ||
              (kind.bias == (kind.epilogue == Epilogue::gelu) && !(kind.accumulate && has_aux(kind))),
          "cuda: no epilogue does that: ", kind);
    if (!may_exist(kind)) return nullptr;
    const auto [found, is_new] = plans_.try_emplace(kind);
    Plan& plan = found->second;
    try {
      if (is_new) plan = make_plan(kind, vector, aux, workspace_bytes);
    } catch (...) {
      plans_.erase(found);
      throw;
    }
    return plan.exists ? &plan : nullptr;
  }

  Plan make_plan(const Kind& kind, const void* vector, void* aux, size_t workspace_bytes) {
    const Types types = types_of(kind);
    Plan plan;
    cublasLtMatmulDesc_t operation = nullptr;
    GALVAN_CUBLAS_CALL(cublasLtMatmulDescCreate(&operation, types.compute, types.scale));
    plan.operation.reset(operation);
    const auto transposed = [](bool yes) { return static_cast<int32_t>(yes ? CUBLAS_OP_T : CUBLAS_OP_N); };
    set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, transposed(kind.transpose_b));
    set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, transposed(kind.transpose_a));
    // Addresses tell the heuristic alignments.
    set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(kind));
    if (vector) {
      set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
      set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, kind.batch_stride_vector);
    }
    if (has_aux(kind)) {
      set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, kind.batch_stride_aux);
      set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux);
      set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, kind.n);
    }
    const auto layout = [&](bool transposed, int64_t rows, int64_t columns, int64_t leading, int64_t stride) {
      return layout_of(types.element, transposed ? columns : rows, transposed ? rows : columns, leading,
                       kind.batch, stride);
    };
    plan.a = layout(kind.transpose_a, kind.m, kind.k, kind.lda, kind.batch_stride_a);
    plan.b = layout(kind.transpose_b, kind.k, kind.n, kind.ldb, kind.batch_stride_b);
    plan.c = layout(false, kind.m, kind.n, kind.ldc, kind.batch_stride_c);

    cublasLtMatmulPreference_t made = nullptr;
    GALVAN_CUBLAS_CALL(cublasLtMatmulPreferenceCreate(&made));
    const Preference preference(made);
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspace_bytes));
    // Parts of a sum over k are added in the type that they are summed in, not in C's.
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kind.alignment_b);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kind.alignment_a);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kind.alignment_c);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kind.alignment_c);

    cublasLtMatmulHeuristicResult_t result{};
    int results = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_.get(), plan.operation.get(), plan.b.get(), plan.a.get(),
                                       plan.c.get(), plan.c.get(), preference.get(), 1, &result, &results);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check_cublas(status, "cublasLtMatmulAlgoGetHeuristic");
    plan.exists = status == CUBLAS_STATUS_SUCCESS && results > 0 && result.state == CUBLAS_STATUS_SUCCESS;
    plan.algorithm = result.algo;
    plan.workspace = result.workspaceSize;
    return plan;
  }

  std::mutex mutex_;
  Owned<cublasLtHandle_t, cublasLtDestroy> handle_;
  std::map<Kind, Plan> plans_;
};

// From one matrix to another, in elements.
template <class T>
int64_t distance(const T* from, const T* to) {
  return (reinterpret_cast<intptr_t>(to) - reinterpret_cast<intptr_t>(from)) / intptr_t{sizeof(T)};
}

template <class T>
class RecordedProduct final : public RecordedOperation {
 public:
  RecordedProduct(const Gemm<T, T>& product, const MatmulExtra<T>& extra)
      : product_(product), extra_(extra) {}

  bool matches(const RecordedOperation& other) const override {
    const auto* same = dynamic_cast<const RecordedProduct*>(&other);
    return same && kind_anywhere() == same->kind_anywhere();
  }

  void enqueue(std::span<const RecordedOperation* const> replicas, cudaStream_t stream) const override {
    const auto at = [&](size_t i) -> const RecordedProduct& {
      return *static_cast<const RecordedProduct*>(replicas[i]);
    };
    for (size_t begin = 0, end = 1; begin < replicas.size(); begin = end++) {
      Steps steps;  // between replicas at equal distances
      if (product_.batch == 1 && end < replicas.size()) {
        steps = at(begin).steps_to(at(end));
        while (steps.are_forward() && end < replicas.size() && at(end - 1).steps_to(at(end)) == steps) ++end;
      }
      if (at(begin).multiply(static_cast<int64_t>(end - begin), steps, stream)) continue;
      for (size_t i = begin; i < end; ++i) at(i).multiply(1, {}, stream);  // cublasLt has no such batch
    }
  }

 private:
  struct Steps {
    int64_t a = 0, b = 0, c = 0, vector = 0, aux = 0;
    bool operator==(const Steps&) const = default;
    bool are_forward() const { return std::min({a, b, c, vector, aux}) >= 0 && c > 0; }
  };

  Kind kind_anywhere() const {
    Kind kind = kind_of(product_, extra_);
    kind.alignment_a = kind.alignment_b = kind.alignment_c = kind.alignment_vector = kind.alignment_aux = 0;
    return kind;
  }

  Steps steps_to(const RecordedProduct& next) const {
    return {.a = distance(product_.a, next.product_.a),
            .b = distance(product_.b, next.product_.b),
            .c = distance(product_.c, next.product_.c),
            .vector = distance(static_cast<const T*>(vector_of(product_, extra_)),
                               static_cast<const T*>(vector_of(next.product_, next.extra_))),
            .aux = distance(extra_.aux, next.extra_.aux)};
  }

  bool multiply(int64_t replicas, const Steps& steps, cudaStream_t stream) const {
    if (replicas == 1) return Products::instance().compute(stream, product_, extra_);
    Gemm<T, T> product = product_;
    product.batch = replicas;
    product.batch_stride_a = steps.a;
    product.batch_stride_b = steps.b;
    product.batch_stride_c = steps.c;
    MatmulExtra<T> extra = extra_;
    extra.batch_stride_vector = steps.vector;
    extra.batch_stride_aux = steps.aux;
    return Products::instance().compute(stream, product, extra);
  }

  Gemm<T, T> product_;
  MatmulExtra<T> extra_;
};

}  // namespace

void set_tf32(bool on) { use_tf32 = on; }
bool tf32() { return use_tf32; }

template <class T>
bool cublas_matmul(cudaStream_t stream, const Gemm<T, T>& product, const MatmulExtra<T>& extra) {
  Products& products = Products::instance();
  RecordedStep* const step = Recorder::current();
  const bool can = step ? products.can(stream, product, extra) : products.compute(stream, product, extra);
  check(can || product.bias || extra.epilogue != Epilogue::none,
        "cuda: cublasLt has no algorithm for the matrix product ", kind_of(product, extra));
  if (can && step) step->push_back(std::make_unique<RecordedProduct<T>>(product, extra));
  return can;
}
template bool cublas_matmul(cudaStream_t, const Gemm<float, float>&, const MatmulExtra<float>&);
template bool cublas_matmul(cudaStream_t, const Gemm<double, double>&, const MatmulExtra<double>&);
template bool cublas_matmul(cudaStream_t, const Gemm<bfloat16, bfloat16>&, const MatmulExtra<bfloat16>&);

std::vector<std::string> matmul_algorithms() { return Products::instance().lines(); }

}  // namespace galvan
