// The kernels. Included by core/kernels.h, inside namespace galvan, with Context defined as Cpu and as Cuda.

// --- copy: y = x, converted, both strided over one shape ---
template <class From, class To>
void strided_copy(Context, const From* x, const Strides& x_strides, To* y, const Strides& y_strides,
                  const Shape& shape);
template <class T>
void fill(Context, T* y, const Strides& strides, const Shape& shape, T value);

// --- pointwise (F: a struct of core/pointwise.h) ---
template <class F, class T>
void unary(Context, F f, const T* x, T* y, int64_t n);
// dx = dy f'(saved), saved being what F::kFromOutput says
template <class F, class T>
void unary_backward(Context, F f, const T* saved, const T* dy, T* dx, int64_t n);
// y dense, of `shape`, to which a's and b's strides are broadcast
template <class F, class T, class Y>
void binary(Context, F f, const T* a, const Strides& a_strides, const T* b, const Strides& b_strides, Y* y,
            const Shape& shape);
// y = condition ? a : b, likewise
template <class T>
void where(Context, const bool* condition, const Strides& condition_strides, const T* a,
           const Strides& a_strides, const T* b, const Strides& b_strides, T* y, const Shape& shape);
// x and y [batches, rows, columns]: y = x where column <= row + diagonal, else 0
template <class T>
void tril(Context, const T* x, T* y, int64_t batches, int64_t rows, int64_t columns, int64_t diagonal);

// --- reductions of x [outer, length, inner] to y [outer, inner] ---
template <class T>
void sum(Context, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
         double scale);  // y = scale sum x
template <class T>
void max(Context, const T* x, T* y, int64_t outer, int64_t length, int64_t inner);
template <class T>
void max_backward(Context, const T* x, const T* y, const T* dy, T* dx, int64_t outer, int64_t length,
                  int64_t inner);
// x [rows, length], y [rows]
template <class T>
void argmax(Context, const T* x, int32_t* y, int64_t rows, int64_t length);
template <class T>
void variance(Context, const T* x, T* y, int64_t rows, int64_t length, int64_t correction);

// --- rows: softmax, norms, cross-entropy ---

template <class T>
void softmax_forward(Context, const T* x, T* y, int64_t rows, int64_t columns);
template <class T>
void softmax_backward(Context, const T* y, const T* dy, T* dx, int64_t rows, int64_t columns);
template <class T>
void log_softmax_forward(Context, const T* x, T* y, int64_t rows, int64_t columns);
template <class T>
void log_softmax_backward(Context, const T* y, const T* dy, T* dx, int64_t rows, int64_t columns);

// losses [R]; log_sums [R]: ln sum_v e^(logits_v - max), all that a later backward needs.
template <class T>
void cross_entropy_forward(Context, const CrossEntropyRows& p, const T* logits, Acc<T>* losses,
                           Acc<T>* log_sums);
// dlogits [R, V] from row r's upstream gradient dy[r].
template <class T>
void cross_entropy_backward(Context, const CrossEntropyRows& p, const T* logits, const Acc<T>* log_sums,
                            const Acc<T>* dy, T* dlogits);
// Both at once, every row's upstream gradient being *weight, or 1 / R where weight is null; dlogits may be logits, and
// then replaces them.
template <class T>
void cross_entropy_both(Context, const CrossEntropyRows& p, const T* logits, const Acc<T>* weight,
                        Acc<T>* losses, T* dlogits);
// 1 / (the number of rows not ignored)
template <class A>
void cross_entropy_weight(Context, const CrossEntropyRows& p, A* weight);
// loss = sum of losses, for the mean divided by the number of rows not ignored
template <class A>
void cross_entropy_total(Context, const CrossEntropyRows& p, const A* losses, bool mean, A* loss);

template <class T>
void norm_forward(Context, const NormForward<T>& p);

template <class T>
void norm_backward(Context, const NormBackward<T>& p);

// --- fused pointwise ops ---

// y = f(x + bias);  x, y [R, C], bias [C]
template <class F, class T>
void bias_unary(Context, F f, const T* x, const T* bias, T* y, int64_t rows, int64_t columns);
// dx = dy f'(x + bias), dbias = sum_r dx (null: not wanted); dx may be dy; partial: scratch, row_blocks(R) C
template <class F, class T>
void bias_unary_backward(Context, F f, const T* x, const T* bias, const T* dy, T* dx, T* dbias,
                         Acc<T>* partial, int64_t rows, int64_t columns);
// y = silu(gate) up
template <class T>
void silu_mul_forward(Context, const T* gate, const T* up, T* y, int64_t n);
template <class T>
void silu_mul_backward(Context, const T* gate, const T* up, const T* dy, T* dgate, T* dup, int64_t n);

// --- matrix products ---
template <class T>
void gemm(Context, const Gemm<T, T>& product);
// Products (of no batch, C dense) that do more while C is at hand. Of GELU's two forms they have the tanh one.
// C = gelu(op(A) op(B) + bias); kept [m, n]: what it takes to have its derivative, for the next
template <class T>
void gemm_gelu(Context, const Gemm<T, T>& product, T* kept);
// C = (op(A) op(B)) gelu'(..), dbias [n] = the sums of C's columns; bias and kept are gemm_gelu's; partial: scratch,
// row_blocks(m) n
template <class T>
void gemm_gelu_backward(Context, const Gemm<T, T>& product, const T* bias, const T* kept, T* dbias,
                        Acc<T>* partial);
// C = A^T B, sums [m] = the sums of the columns of A [k, m], which is dense
template <class T>
void gemm_column_sums(Context, const Gemm<T, T>& product, T* sums);

// --- indexing ---
// The first i with index[i] neither `ignored` nor in 0..limit-1; -1: there is none.
int64_t find_bad_index(Context, const int32_t* index, int64_t n, int64_t limit, int64_t ignored);
// y[b, t] = weight[index[b, t]] + positions[t]:  index [B, T], y [B, T, C], weight [.., C], positions [T, C]
template <class T>
void embed(Context, const T* weight, const T* positions, const int32_t* index, T* y, int64_t batch,
           int64_t length, int64_t columns);
// y[o, j, i] = x[o, index[j], i]:  x [outer, rows, inner], y [outer, picks, inner]
template <class T>
void select_rows(Context, const T* x, const int32_t* index, T* y, int64_t outer, int64_t rows, int64_t picks,
                 int64_t inner);
// dx[o, r, i] = sum of dy[o, j, i] over the j with index[j] = r, in an order that the sizes fix; with `accumulate`, +=
template <class T>
void select_rows_backward(Context, const T* dy, const int32_t* index, T* dx, int64_t outer, int64_t rows,
                          int64_t picks, int64_t inner, bool accumulate);
// y[i] = x[i with coordinate `dim` replaced by index[i]], for i in `shape`, index's and y's; both are dense
template <class T>
void gather(Context, const T* x, const Strides& x_strides, const int32_t* index, T* y, const Shape& shape,
            int dim);
// dx (zero before) += dy at the places that gather read, in the order of the index along `dim`
template <class T>
void gather_backward(Context, const T* dy, const int32_t* index, T* dx, const Strides& dx_strides,
                     const Shape& shape, int dim);

// --- batches ---
// x[b, t] = tokens[start + t], y[b, t] = tokens[start + t + 1], start = windows.start(*step, micro_step, b): x and y are
// [B, T], and *step lies where the kernel runs
void read_batch(Context, const BatchWindows& windows, const int64_t* step, int64_t micro_step,
                const int32_t* tokens, int32_t* x, int32_t* y);
// *counter += 1
void count_up(Context, int64_t* counter);

// --- transformer: dropout, rope, attention ---
// y[i] = x[i] / (1 - p) where uniform_from(word i of `stream`) >= p, else 0; n elements
template <class T>
void dropout(Context, const RandomStream& stream, double p, const T* x, T* y, int64_t n);
// x, y [B, H, T, D]: row t turned by angles (t + position) theta^(-2i/D), backwards for the gradient
template <class T>
void rope(Context, const RopeSizes& sizes, HeadRows<const T> x, HeadRows<T> y);
// lse [B, H, Tq]: the log-sum-exp of each row's scores, which is all the backward needs to have them again.
template <class T>
void attention_forward(Context, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                       HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse);
template <class T>
void attention_backward(Context, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                        HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy, const Acc<T>* lse,
                        HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv);

// --- sampling ---
// drawn: one number (core/sampling_rule.h)
template <class T>
void sample(Context, const SamplingRule& rule, const T* logits, int64_t classes, int32_t* drawn);

// --- optimizers: a step (core/step_control.h) is these, in this order ---
// Adds a micro-batch's loss to the step under way.
template <class T>
void add_loss(Context, const T* loss, StepControl* control);
// partials[i] = sum of x^2 over piece i, 0 for a segment without a gradient
template <class T>
void squares_of_pieces(Context, const T* x, const UpdatePieces& pieces, double* partials);
// Decides on the step, counts and works out the coefficients of every segment that is updated ([segments]), and
// closes it. Rule: SgdRule or AdamRule (core/update_rules.h).
template <class Rule, class M>
void begin_update(Context, const Rule& rule, const StepInputs& inputs,
                  typename Rule::template Coefficients<M>* coefficients);
// The update of all pieces, where begin_update left control->applied.
template <class Rule, class T>
void update_pieces(Context, const UpdatePieces& pieces,
                   const typename Rule::template Coefficients<Acc<T>>* coefficients,
                   const StepControl* control, const UpdateBlocks<T>& blocks);
