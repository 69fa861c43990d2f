// Strided copy and fill.
//   y[i, ..] = x[i, ..], each with strides of its own (0 repeats an element), converted to y's type
// Memory   numel (sizeof(From) + sizeof(To)) bytes; fill numel sizeof(T)
// Launch   a pack of up to 16 bytes a thread, 256 threads a block (cuda/map.h); where x is dense along another
//          dimension than y, 32 x 32 elements a block, turned in shared memory
#include "core/convert.h"
#include "core/kernels.h"
#include "cuda/map.h"

namespace galvan {
namespace {

template <class To>
struct Convert {
  template <class From>
  __device__ To operator()(From x) const {
    return convert<To>(x);
  }
};

template <class T>
struct Constant {
  T value;
  __device__ T operator()() const { return value; }
};

// Matrices that are dense along `rows` in x and along `columns` in y, and the places of all the others.
struct Transpose {
  int64_t rows, columns, row_tiles, column_tiles;
  int64_t x_column, y_row;  // strides
  int rank;
  int64_t sizes[kMaxRank], x_strides[kMaxRank], y_strides[kMaxRank];
};

constexpr int kTile = 32, kTileRows = 8;  // a thread moves every 8th row of a tile

template <class T>
__global__ void copy_transposed_tile(Transpose p, const T* x, T* y) {
  GALVAN_SHARED(T[kTile][kTile + 1], tile);  // a column of it lies in 32 banks
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int64_t column = blockIdx.x % p.column_tiles * kTile,
                row = blockIdx.x / p.column_tiles % p.row_tiles * kTile;
  int64_t matrix = blockIdx.x / p.column_tiles / p.row_tiles;
  for (int d = 0; d < p.rank; ++d) {
    x += matrix % p.sizes[d] * p.x_strides[d];
    y += matrix % p.sizes[d] * p.y_strides[d];
    matrix /= p.sizes[d];
  }
  for (int i = ty; i < kTile; i += kTileRows)
    if (row + tx < p.rows && column + i < p.columns) tile[i][tx] = x[row + tx + (column + i) * p.x_column];
  __syncthreads();  // the tile is there before its columns are read
  for (int i = ty; i < kTile; i += kTileRows)
    if (row + i < p.rows && column + tx < p.columns) y[(row + i) * p.y_row + column + tx] = tile[tx][i];
}

// Copies by tiles if the strides and sizes are such that it pays; says whether.
template <class T>
bool copy_transposed(Cuda on, const T* x, const Strides& x_strides, T* y, const Strides& y_strides,
                     const Shape& shape) {
  const Walk<2> walk = merged<2>(shape, {&x_strides, &y_strides});
  const int last = walk.shape.rank() - 1;
  int along_x = 0;
  while (along_x < last && walk.strides[0][along_x] != 1) ++along_x;
  if (walk.inner(0) == 1 || walk.inner(1) != 1 || along_x == last) return false;
  if (walk.shape[along_x] < kTileRows || walk.shape[last] < kTileRows) return false;

  Transpose p{};
  p.rows = walk.shape[along_x];
  p.columns = walk.shape[last];
  p.row_tiles = (p.rows + kTile - 1) / kTile;
  p.column_tiles = (p.columns + kTile - 1) / kTile;
  p.x_column = walk.inner(0);
  p.y_row = walk.strides[1][along_x];
  int64_t matrices = 1;
  for (int d = 0; d < last; ++d) {
    if (d == along_x) continue;
    p.sizes[p.rank] = walk.shape[d];
    p.x_strides[p.rank] = walk.strides[0][d];
    p.y_strides[p.rank++] = walk.strides[1][d];
    matrices *= walk.shape[d];
  }
  launch<copy_transposed_tile<T>>(static_cast<unsigned>(matrices * p.row_tiles * p.column_tiles),
                                  dim3(kTile, kTileRows), 0, on.stream, p, x, y);
  return true;
}

}  // namespace

template <class T>
inline constexpr bool kInSteps<Convert<T>> = true;
template <class T>
inline constexpr bool kInSteps<Constant<T>> = true;

template <class From, class To>
void strided_copy(Cuda on, const From* x, const Strides& x_strides, To* y, const Strides& y_strides,
                  const Shape& shape) {
  if constexpr (std::is_same_v<From, To>)
    if (shape.numel() > 0 && copy_transposed(on, x, x_strides, y, y_strides, shape)) return;
  map(on, Convert<To>{}, shape, Strided<To>{y, y_strides}, Strided<const From>{x, x_strides});
}

template <class T>
void fill(Cuda on, T* y, const Strides& strides, const Shape& shape, T value) {
  map(on, Constant<T>{value}, shape, Strided<T>{y, strides});
}

#define GALVAN_COPY(From, To) \
  template void strided_copy(Cuda, const From*, const Strides&, To*, const Strides&, const Shape&);
#define GALVAN_COPY_FROM(From) \
  GALVAN_COPY(From, float)     \
  GALVAN_COPY(From, double)    \
  GALVAN_COPY(From, bfloat16)  \
  GALVAN_COPY(From, int32_t)   \
  GALVAN_COPY(From, bool) template void fill(Cuda, From*, const Strides&, const Shape&, From);
GALVAN_COPY_FROM(float)
GALVAN_COPY_FROM(double)
GALVAN_COPY_FROM(bfloat16)
GALVAN_COPY_FROM(int32_t)
GALVAN_COPY_FROM(bool)

}  // namespace galvan
