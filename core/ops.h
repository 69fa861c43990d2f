// Every public op, with its maths in a line. Those with a backward are differentiable in every floating-point
// input.
//
// Binary ops broadcast after NumPy's rules. Both inputs must have one dtype and one device: nothing is
// promoted silently. kOpTypes (below) says which op takes which dtype; what it does not take is an error.
// Dimensions may be negative. An error names the op and the facts: "matmul: inner dimensions differ, [2, 3] @
// [4, 5]".
//
// Letters: B batch, T time, H heads, D head size, C channels, V vocabulary, N rows.
#pragma once

#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace galvan {

// --- pointwise, two inputs ---
Tensor add(const Tensor& a, const Tensor& b);  // a + b
Tensor sub(const Tensor& a, const Tensor& b);  // a - b
Tensor mul(const Tensor& a, const Tensor& b);  // a b
Tensor div(const Tensor& a, const Tensor& b);  // a / b
Tensor maximum(const Tensor& a,
               const Tensor& b);  // max(a, b); where equal, each gets half of the gradient; NaN wins
Tensor minimum(const Tensor& a, const Tensor& b);  // min(a, b); likewise
Tensor pow(const Tensor& x, double exponent);      // x^p;  dx = p x^(p-1) dy
Tensor add(const Tensor& x, double c);             // x + c
Tensor mul(const Tensor& x, double c);             // c x

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& x, double c) { return add(x, c); }
inline Tensor operator-(const Tensor& x, double c) { return add(x, -c); }
inline Tensor operator*(const Tensor& x, double c) { return mul(x, c); }
inline Tensor operator/(const Tensor& x, double c) { return mul(x, 1.0 / c); }

// --- pointwise, one input ---
Tensor neg(const Tensor& x);   // -x
Tensor exp(const Tensor& x);   // e^x;         dx = y dy
Tensor log(const Tensor& x);   // ln x;        dx = dy / x
Tensor sqrt(const Tensor& x);  // x^(1/2);     dx = dy / (2 y)
Tensor abs(const Tensor& x);   // |x|;         dx = sign(x) dy, 0 at 0
Tensor clamp(const Tensor& x, double low,
             double high);        // min(max(x, low), high);  dx = dy where low <= x <= high
Tensor relu(const Tensor& x);     // max(x, 0)
Tensor silu(const Tensor& x);     // x sigmoid(x)
Tensor tanh(const Tensor& x);     // dx = (1 - y^2) dy
Tensor sigmoid(const Tensor& x);  // 1 / (1 + e^-x);  dx = y (1 - y) dy
enum class Gelu { tanh, exact };
// tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); exact: x Phi(x). Hendrycks & Gimpel, arXiv:1606.08415.
Tensor gelu(const Tensor& x, Gelu form = Gelu::tanh);

// --- comparisons (bool, no gradient) and selection ---
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);  // condition ? a : b, all broadcast
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);    // mask ? value : x
Tensor tril(const Tensor& x, int64_t diagonal = 0);  // x[.., i, j] where j <= i + diagonal, else 0

// --- reductions: over the dims named, over all when none is ---
struct Over {
  std::vector<int> dims = {};
  bool keepdim = false;
};
Tensor sum(const Tensor& x, const Over& over = {});
Tensor mean(const Tensor& x, const Over& over = {});
// The largest; its gradient is shared equally among ties.
Tensor max(const Tensor& x, const Over& over = {});
// The index (i32) of the first largest along one dim, or in the flattened tensor when none is named. No
// gradient.
Tensor argmax(const Tensor& x, std::optional<int> dim = {}, bool keepdim = false);
// sum (x - mean)^2 / (n - correction)
Tensor var(const Tensor& x, const Over& over = {}, int64_t correction = 1);
// Sums the dimensions along which `shape` was broadcast to x's shape: the backward of a broadcast.
Tensor sum_to(const Tensor& x, const Shape& shape);

// --- matrix products ---
struct MatmulOptions {
  bool transpose_a = false;  // swap the last two dimensions, without a copy
  bool transpose_b = false;
};
// [.., M, K] @ [.., K, N] -> [.., M, N]; leading dimensions broadcast.  da = dy b^T, db = a^T dy
Tensor matmul(const Tensor& a, const Tensor& b, MatmulOptions options = {});
// x [.., in], weight [out, in], bias [out] or undefined -> [.., out]: y = x weight^T + bias
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// --- rows: over the last dimension, softmax over any ---
// y_j = e^(x_j - m) / sum_k e^(x_k - m);  dx = y (dy - sum_k y_k dy_k)
Tensor softmax(const Tensor& x, int dim = -1);
// y_j = x_j - m - ln sum_k e^(x_k - m);   dx = dy - e^y sum_k dy_k
Tensor log_softmax(const Tensor& x, int dim = -1);
// y = (x - mean) / sqrt(var + eps) * weight + bias, var without correction; weight and bias [C] or undefined.
// Ba, Kiros, Hinton, arXiv:1607.06450.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
// y = x / sqrt(mean(x^2) + eps) * weight. Zhang & Sennrich, arXiv:1910.07467.
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps = 1e-5);

// --- fused: one pass over memory instead of several; each equals the composition in its line ---
struct AddNorm {
  Tensor sum;     // x + residual
  Tensor normed;  // norm(sum)
};
AddNorm add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                       double eps = 1e-5);
AddNorm add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps = 1e-5);
Tensor bias_gelu(const Tensor& x, const Tensor& bias, Gelu form = Gelu::tanh);  // gelu(x + bias), bias [C]
// linear(gelu(linear(x, up, up_bias)), down, down_bias), GELU's tanh form: x [.., C], up [F, C], down [O, F]
Tensor gelu_mlp(const Tensor& x, const Tensor& up, const Tensor& up_bias, const Tensor& down,
                const Tensor& down_bias);
Tensor silu_mul(const Tensor& gate, const Tensor& up);  // silu(gate) * up (SwiGLU, arXiv:2002.05202)

// {x, norm(x)} for a stream x that goes on beside its norm: what comes back along both is added on the way.
AddNorm keep_layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
AddNorm keep_rms_norm(const Tensor& x, const Tensor& weight, double eps = 1e-5);

// --- the branches of a transformer's block, with what follows: {residual + branch, its layer norm} ---
// Each equals its composition, in bf16 up to rounding. On a card each is one kernel, and so are its gradients but for the
// weights', where a model is narrow (core/branch.h).
struct LinearParameters {
  Tensor weight, bias;  // [out, in]; [out] or undefined
};
struct LayerNormParameters {
  Tensor weight, bias;  // [C]; [C] or undefined
  double eps = 1e-5;
};
// add_layer_norm(linear(packed_attention(linear(x, qkv), heads, heads), out), residual, norm): x, residual [B, T, C]
AddNorm attention_branch(const Tensor& x, const Tensor& residual, const LinearParameters& qkv, int64_t heads,
                         const LinearParameters& out, const LayerNormParameters& norm);
// add_layer_norm(linear(gelu(linear(x, up)), down), residual, norm), GELU's tanh form: x, residual [.., C]
AddNorm mlp_branch(const Tensor& x, const Tensor& residual, const LinearParameters& up,
                   const LinearParameters& down, const LayerNormParameters& norm);

// --- loss ---
enum class Reduction { mean, sum, none };
struct CrossEntropyOptions {
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::min();
  int64_t ignore_index = -100;            // rows with this target count for nothing; kNone: every row counts
  double label_smoothing = 0.0;           // in [0, 1]: mixes the target with the uniform distribution
  Reduction reduction = Reduction::mean;  // mean: over the rows that are not ignored (NaN when all are)
};
// logits [.., V], targets [..] i32 -> scalar, or [..] for `none`, in f32 also for bf16 logits.
// loss = -sum_v t_v log_softmax(logits)_v. A target that is no class and not ignore_index is an error.
// Probabilities are never stored: where the loss is one number, its gradient is worked out in the same pass, else the
// backward recomputes them from one number a row.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, CrossEntropyOptions options = {});
// The same of logits that the caller gives away: cross_entropy(model(x), y). The gradient takes their place in memory
// when nobody else holds them.
Tensor cross_entropy(Tensor&& logits, const Tensor& targets, CrossEntropyOptions options = {});

// cross_entropy(linear(x, weight), targets, options): x [.., C], weight [V, C], targets [..]. On a card, in bf16, of narrow
// rows and few classes, logits are never stored, unless the loss is smoothed or of each row (core/linear_cross_entropy.h).
Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& targets,
                            CrossEntropyOptions options = {});

// --- indexing and joining ---
// weight [V, C], indices [..] i32 -> [.., C]: y = weight[index]. The gradient sums rows in a fixed order.
// Indices out of range are an error, here as in gather and index_select.
Tensor embedding(const Tensor& weight, const Tensor& indices);
// embedding(weight, indices) + the rows of positions [.., C] from `first` on: indices [B, T]
Tensor embedding_at(const Tensor& weight, const Tensor& positions, const Tensor& indices, int64_t first = 0);
// y[i][j] = x[i][index[i][j]] for dim = 1: index (i32) has x's rank and, outside `dim`, at most its sizes.
Tensor gather(const Tensor& x, int dim, const Tensor& index);
Tensor index_select(const Tensor& x, int dim, const Tensor& index);  // index [n] i32: those slices along dim
// While one of these lives, indices and targets are not searched for ones out of range, for which the host has to
// wait for a card. For a loop over tokens that have been searched once: what a bad one does then is undefined.
class TrustedIndices {
 public:
  TrustedIndices();
  ~TrustedIndices();
  TrustedIndices(const TrustedIndices&) = delete;
  TrustedIndices& operator=(const TrustedIndices&) = delete;
};
Tensor cat(const std::vector<Tensor>& xs, int dim = 0);    // one after another: sizes may differ in `dim`
Tensor stack(const std::vector<Tensor>& xs, int dim = 0);  // along a new dimension; all of one shape
std::vector<Tensor> split(const Tensor& x, int64_t size,
                          int dim = 0);  // views of `size` each, the last may be smaller
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int dim = 0);  // of these sizes

// --- transformer ---
// Zeroes each element with probability p, in [0, 1), and scales the others by 1/(1-p). The mask is a function
// of RandomContext (core/random.h); it is not stored. Srivastava et al., JMLR 2014.
Tensor dropout(const Tensor& x, double p);
// Rotary position embedding, x [.., T, D], D even: pairs (x_i, x_(i+D/2)) are rotated by (t + position)
// theta^(-2i/D). Su et al., arXiv:2104.09864, in the half-split layout of Llama's published weights.
Tensor rope(const Tensor& x, int64_t position = 0, double theta = 10000.0);
// The same, of the queries and keys in one packed projection: qkv [B, T, (H + 2 G) D], its values are copied
// as they are.
Tensor packed_rope(const Tensor& qkv, int64_t heads, int64_t kv_heads, int64_t position = 0,
                   double theta = 10000.0);
struct AttentionOptions {
  bool causal = true;                // query t sees keys up to t + (keys - queries)
  std::optional<double> scale = {};  // 1/sqrt(D) by default
};
// q [B, H, Tq, D], k and v [B, G, Tk, D] with G dividing H (grouped queries) -> [B, H, Tq, D].
// softmax(scale q k^T + mask) v without ever storing Tq x Tk: Dao et al., arXiv:2205.14135. The result's
// memory is laid out as [B, Tq, H, D], so that transposing and merging the heads costs nothing.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, AttentionOptions options = {});
// The same, read from one packed projection: qkv [B, T, (H + 2 G) D] -> [B, T, H D].
Tensor packed_attention(const Tensor& qkv, int64_t heads, int64_t kv_heads, AttentionOptions options = {});

// --- sampling ---
struct Sampling {
  double temperature = 1.0;  // logits are divided by it: below 1 safer, above 1 wilder; 0: the largest logit
  int64_t top_k = 0;         // draw among the k likeliest; 0: among all
  double top_p = 1.0;  // of those, among the likeliest that together reach probability p (Holtzman et al.,
                       // arXiv:1904.09751)
};
// The index (i32, a scalar) drawn from logits [V], the same on every device, for a random number, random / 2^64 in
// [0, 1). Where a logit is NaN it is -1, where the largest is infinite -2. No gradient.
Tensor sample(const Tensor& logits, const Sampling& from, uint64_t random);

// --- which op takes which dtype ---
struct OpTypes {
  std::string_view op;
  DTypes takes;
};
inline constexpr OpTypes kOpTypes[] = {
    {"copy", kAnyType},
    {"fill", kAnyType},
    {"index", DType::i32},
    {"add", kNumbers},
    {"sub", kNumbers},
    {"mul", kNumbers},
    {"div", kFloating},
    {"maximum", kNumbers},
    {"minimum", kNumbers},
    {"pow", kFloating},
    {"neg", kNumbers},
    {"exp", kFloating},
    {"log", kFloating},
    {"sqrt", kFloating},
    {"abs", kNumbers},
    {"clamp", kNumbers},
    {"relu", kFloating},
    {"silu", kFloating},
    {"tanh", kFloating},
    {"sigmoid", kFloating},
    {"gelu", kFloating},
    {"eq", kAnyType},
    {"ne", kAnyType},
    {"lt", kNumbers},
    {"le", kNumbers},
    {"gt", kNumbers},
    {"ge", kNumbers},
    {"where", kAnyType},
    {"masked_fill", kAnyType},
    {"tril", kAnyType},
    {"sum", kNumbers},
    {"mean", kFloating},
    {"max", kNumbers},
    {"argmax", kNumbers},
    {"var", kFloating},
    {"matmul", kFloating},
    {"linear", kFloating},
    {"softmax", kFloating},
    {"log_softmax", kFloating},
    {"layer_norm", kFloating},
    {"rms_norm", kFloating},
    {"add_layer_norm", kFloating},
    {"add_rms_norm", kFloating},
    {"keep_layer_norm", kFloating},
    {"keep_rms_norm", kFloating},
    {"bias_gelu", kFloating},
    {"gelu_mlp", kFloating},
    {"silu_mul", kFloating},
    {"cross_entropy", kFloating},
    {"linear_cross_entropy", kFloating},
    {"embedding", kFloating},
    {"embedding_at", kFloating},
    {"gather", kAnyType},
    {"index_select", kAnyType},
    {"cat", kAnyType},
    {"dropout", kFloating},
    {"rope", kFloating},
    {"attention", kFloating},
    {"attention_branch", kFloating},
    {"mlp_branch", kFloating},
    {"sample", kFloating},
    {"optimizer", kFloating},
};

// The dtypes of an op; none for a name that is not in the table.
constexpr DTypes types_of(std::string_view op) {
  for (const OpTypes& row : kOpTypes)
    if (row.op == op) return row.takes;
  return {};
}

}  // namespace galvan
