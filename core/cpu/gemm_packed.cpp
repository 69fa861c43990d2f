// C = op(A) op(B) by packing and a micro-kernel, after K. Goto and R. van de Geijn, "Anatomy of
// high-performance matrix multiplication" (2008), and the BLIS library.
//
//   for every block of k, at most kMaxDepthBytes a row:            sums stay in C between blocks
//     pack op(B) into panels, one tile wide, and op(A) too         one parallel region
//       unless it can be read in place
//     for every task: some rows of C by some panels of B:          one parallel region
//       for every row of tiles:      its rows of A stay in L1
//         for every panel:           the task's panels stay in L2, and stream through L1
//           the micro-kernel         a tile of C stays in registers
//
// How k is cut depends on the shape alone, and each sum runs over k in one order.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <new>
#include <type_traits>

#include "core/cpu/gemm.h"
#include "core/cpu/gemm_kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

constexpr int64_t kMaxDepthBytes = 2048;    // of one row of A: 8 rows fill half of a 32 KiB L1
constexpr int64_t kMaxColumns = 4096;       // of B packed at a time
constexpr double kTasks = 128;              // that a block is cut into, if that gives tasks of
constexpr double kMinTaskFlops = 5e5;       //   at least about 5 us
constexpr double kMaxTaskFlops = 8e6;       //   and at most 80 us
constexpr double kInlineFlops = 1e5;        // below, waking other threads costs more than it gains
constexpr int64_t kMaxVectorsInPlace = 32;  // of a row of B, to read a transposed A without packing it
constexpr int64_t kPackRows = 32;           // rows of memory that one task packs, a multiple of 32

// Of packed B that a task uses: half of L2. It changes who computes what, never how a sum is made.
int64_t task_panel_bytes() {
  static const int64_t bytes = std::max<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 512 << 10) / 2;
  return bytes;
}

// Whether rows that lie so many bytes apart fall on so few sets of L1 that these hold too few of them.
bool crowd_l1(int64_t bytes) {
  static const bool has_many_ways = sysconf(_SC_LEVEL1_DCACHE_ASSOC) >= 12;
  return bytes % (has_many_ways ? 4096 : 2048) == 0;
}

int64_t ceil_div(int64_t n, int64_t d) { return (n + d - 1) / d; }
int64_t round_up(int64_t n, int64_t multiple) { return ceil_div(n, multiple) * multiple; }

// The size of the pieces when n is cut into as few as possible, none above `most`, all about the same and,
// but for the last, a multiple of `multiple`.
int64_t even_pieces(int64_t n, int64_t most, int64_t multiple) {
  const int64_t pieces = std::max<int64_t>(1, ceil_div(n, std::max(most, multiple)));
  return std::max(multiple, round_up(ceil_div(n, pieces), multiple));
}

// Memory that a thread keeps from one product to the next.
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(data_); }

  void* reserve(size_t bytes) {
    if (bytes > bytes_) {
      constexpr size_t huge_page = 2 << 20;  // with small ones a product takes up to a fifth longer
      bytes = (bytes + bytes / 2 + huge_page - 1) / huge_page * huge_page;
      std::free(data_);
      bytes_ = 0;
      data_ = std::aligned_alloc(huge_page, bytes);
      if (!data_) throw std::bad_alloc();
      bytes_ = bytes;
      madvise(data_, bytes, MADV_HUGEPAGE);
    }
    return data_;
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

thread_local Workspace workspace;

template <class In, class Out>
class PackedProduct {
 public:
  using Sum = Acc<In>;
  using Kernels = GemmKernels<In>;

  PackedProduct(const Gemm<In, Out>& product, const Kernels& kernels)
      : g_(product), kernels_(kernels), width_(kernels.vectors * kernels.lanes) {
    const int64_t max_depth = kMaxDepthBytes / kernels.unit_bytes * kernels.unit;
    depth_ = even_pieces(g_.k, max_depth, 16 * kernels.unit);
    units_ = std::min(depth_, g_.k + kernels.unit - 1) / kernels.unit;
    columns_ = even_pieces(g_.n, kMaxColumns, width_);
    // A is read in place if it is stored as the kernel reads it, and its rows do not share lines of L1.
    const bool in_units = !kernels.packs_a && g_.lda % kernels.unit == 0 && g_.k % kernels.unit == 0;
    const bool rows_share_lines = g_.k > 16 && g_.lda * static_cast<int64_t>(sizeof(In)) % 4096 == 0;
    // So is a transposed A that few panels of B are multiplied with: its rows do share lines of L1, unless they lie
    // so far apart that they push each other out before the next tile comes to them. On the verge of that, packing pays
    // from the fourth panel on.
    const int64_t row_bytes = g_.lda * static_cast<int64_t>(sizeof(In));
    const bool pushed_out = crowd_l1(row_bytes) || (row_bytes % 2048 == 0 && g_.n > 3 * width_);
    in_place_transposed_ = g_.transpose_a && kernels.unit == 1 && !kernels.packs_a &&
                           g_.n <= kMaxVectorsInPlace * kernels.lanes && !pushed_out;
    pack_a_ = !in_place_transposed_ && (g_.transpose_a || !in_units || rows_share_lines);
    // Packed, 16 more keep rows from falling on the same lines of a cache.
    a_stride_ = pack_a_ ? round_up(units_, 16) + 16 : g_.lda / kernels.unit;

    const int64_t task_panels = task_panel_bytes() / (units_ * width_ * kernels.unit_bytes + 1);
    task_columns_ = even_pieces(std::min(g_.n, columns_), task_panels * width_, width_);
    const double row_flops =
        2.0 * static_cast<double>(std::min(g_.n, task_columns_)) * static_cast<double>(units_);
    const double tile_flops = row_flops * kernels.rows + 1;
    const double block_flops = 2.0 * static_cast<double>(g_.m) *
                               static_cast<double>(std::min(g_.n, columns_)) * static_cast<double>(units_);
    const double task_flops = std::clamp(block_flops / kTasks, kMinTaskFlops, kMaxTaskFlops);
    task_rows_ = kernels.rows * (1 + static_cast<int64_t>(task_flops / tile_flops));

    start_row_bytes_ = round_up(columns_ * sizeof(Sum), 64);
    sums_bytes_ = keeps_sums() ? round_up(g_.m * columns_ * sizeof(Sum), 64) : 0;
    b_bytes_ = round_up(units_ * columns_ * kernels.unit_bytes, 64);
    const int64_t a_bytes = pack_a_ ? g_.m * a_stride_ * kernels.unit_bytes : 0;
    auto memory =
        static_cast<std::byte*>(workspace.reserve(start_row_bytes_ + sums_bytes_ + b_bytes_ + a_bytes));
    start_row_ = reinterpret_cast<Sum*>(memory);
    sums_ = reinterpret_cast<Sum*>(memory + start_row_bytes_);
    b_packed_ = memory + start_row_bytes_ + sums_bytes_;
    a_packed_ = b_packed_ + b_bytes_;
  }

  void run() {
    for (int64_t j = 0; j < g_.n; j += columns_) {
      const int64_t columns = std::min(columns_, g_.n - j);
      for (int64_t i = 0; i < round_up(columns, width_); ++i) {
        start_row_[i] = g_.bias && i < columns ? static_cast<Sum>(g_.bias[j + i]) : Sum{0};
      }
      int64_t k = 0;
      do {  // once for k = 0
        const int64_t depth = std::min(depth_, g_.k - k);
        const Block block = {j, columns, k, depth, ceil_div(depth, kernels_.unit)};
        pack(block);
        compute(block);
        k += depth_;
      } while (k < g_.k);
    }
  }

 private:
  // Columns [j, j + columns) of C, and the terms [k, k + depth) of their sums.
  struct Block {
    int64_t j, columns, k, depth, units;
  };

  // Sums that must wait for the next block of k have no place in C when it is of a narrower type.
  bool keeps_sums() const { return !std::is_same_v<Out, Sum> && depth_ < g_.k; }

  template <class F>
  void for_tasks(int64_t tasks, const F& body) const {
    const double flops =
        2.0 * static_cast<double>(g_.m) * static_cast<double>(g_.n) * static_cast<double>(g_.k);
    if (flops < kInlineFlops) {
      for (int64_t task = 0; task < tasks; ++task) body(task);
    } else {
      parallel_for(tasks, body);
    }
  }

  // The width of the panel that starts at column j of the block.
  int64_t panel_width(const Block& block, int64_t j) const {
    const int64_t left = block.columns - j;
    return left >= width_ ? width_ : round_up(left, kernels_.lanes);
  }
  std::byte* panel(const Block& block, int64_t j) const {
    return b_packed_ + j * block.units * kernels_.unit_bytes;
  }

  // Every task reads whole rows of memory, one after the other.
  void pack(const Block& block) const {
    const int64_t b_grain = g_.transpose_b ? width_ : kPackRows;
    const int64_t a_grain = kPackRows;
    const int64_t b_tasks = ceil_div(g_.transpose_b ? block.columns : block.depth, b_grain);
    const int64_t a_tasks = pack_a_ ? ceil_div(g_.transpose_a ? block.depth : g_.m, a_grain) : 0;
    const int64_t unit_bytes = kernels_.unit_bytes;
    for_tasks(b_tasks + a_tasks, [&](int64_t task) {
      if (task < b_tasks) {
        const int64_t row = task * b_grain;
        if (g_.transpose_b) {
          const int64_t columns = std::min(b_grain, block.columns - row);
          kernels_.pack_b(g_.b + (block.j + row) * g_.ldb + block.k, g_.ldb, true, 0, block.depth, columns,
                          panel(block, row), 0);
        } else {
          kernels_.pack_b(g_.b + block.k * g_.ldb + block.j, g_.ldb, false, row,
                          std::min(row + b_grain, block.depth), block.columns, b_packed_,
                          block.units * width_);
        }
      } else {
        const int64_t row = (task - b_tasks) * a_grain;
        if (g_.transpose_a) {
          kernels_.pack_a(g_.a + (block.k + row) * g_.lda, g_.lda, true, g_.m,
                          std::min(a_grain, block.depth - row), a_packed_ + row / kernels_.unit * unit_bytes,
                          a_stride_);
        } else {
          kernels_.pack_a(g_.a + row * g_.lda + block.k, g_.lda, false, std::min(a_grain, g_.m - row),
                          block.depth, a_packed_ + row * a_stride_ * unit_bytes, a_stride_);
        }
      }
    });
  }

  void compute(const Block& block) const {
    const int64_t row_chunks = ceil_div(g_.m, task_rows_);
    for_tasks(row_chunks * ceil_div(block.columns, task_columns_), [&](int64_t task) {
      const int64_t i_begin = task % row_chunks * task_rows_;
      const int64_t i_end = std::min(i_begin + task_rows_, g_.m);
      const int64_t j_begin = task / row_chunks * task_columns_;
      const int64_t j_end = std::min(j_begin + task_columns_, block.columns);
      for (int64_t i = i_begin; i < i_end; i += kernels_.rows) {
        const int64_t rows = std::min<int64_t>(kernels_.rows, i_end - i);
        for (int64_t j = j_begin; j < j_end; j += width_) {
          const bool row_ends = j + width_ >= j_end && i + rows < i_end;
          compute_tile(block, i, rows, j, row_ends ? i + rows : i);
        }
      }
    });
  }

  // Row i of op(A), from the block's k on, as the kernel reads it.
  const void* a_row(const Block& block, int64_t i) const {
    if (pack_a_) return a_packed_ + i * a_stride_ * kernels_.unit_bytes;
    if (in_place_transposed_) return g_.a + block.k * g_.lda + i;
    return g_.a + i * g_.lda + block.k;
  }

  // next_i: the first row of the next tile.
  void compute_tile(const Block& block, int64_t i, int64_t rows, int64_t j, int64_t next_i) const {
    const int64_t width = panel_width(block, j);
    const int64_t columns = std::min(width, block.columns - j);
    const auto& tiles = in_place_transposed_ ? kernels_.tile_transposed_a : kernels_.tile;
    const auto tile = tiles[rows - 1][width / kernels_.lanes - 1];
    const void *a = a_row(block, i), *next_a = a_row(block, next_i);
    const bool first = block.k == 0;
    const bool last = block.k + block.depth == g_.k;
    Out* c = g_.c + i * g_.ldc + block.j + j;

    if constexpr (std::is_same_v<Out, Sum>) {
      if (columns == width && !(first && g_.accumulate && g_.bias)) {
        const bool from_c = !first || g_.accumulate;
        tile(block.units, a, a_stride_, panel(block, j), next_a, from_c ? c : start_row_ + j,
             from_c ? g_.ldc : 0, c, g_.ldc);
        return;
      }
    }
    // Through a tile of our own: the edge of C, another type, a bias on top of what C holds.
    Sum sums[Kernels::kMaxRows * Kernels::kMaxWidth] = {};
    Sum* kept = sums_ + i * columns_ + j;
    const bool from_start_row = first && !g_.accumulate;
    for (int64_t r = 0; r < (from_start_row ? 0 : rows); ++r) {
      for (int64_t s = 0; s < columns; ++s) {
        Sum& sum = sums[r * width + s];
        if (first) {
          sum = start_row_[j + s] + static_cast<Sum>(c[r * g_.ldc + s]);
        } else if constexpr (std::is_same_v<Out, Sum>) {
          sum = c[r * g_.ldc + s];
        } else {
          sum = kept[r * columns_ + s];
        }
      }
    }
    tile(block.units, a, a_stride_, panel(block, j), next_a, from_start_row ? start_row_ + j : sums,
         from_start_row ? 0 : width, sums, width);
    if constexpr (!std::is_same_v<Out, Sum>) {
      if (!last) {
        for (int64_t r = 0; r < rows; ++r) std::copy_n(sums + r * width, columns, kept + r * columns_);
        return;
      }
    }
    if constexpr (std::is_same_v<In, Out>) {
      kernels_.store_tile(rows, columns, sums, width, c, g_.ldc);
    } else {
      for (int64_t r = 0; r < rows; ++r) std::copy_n(sums + r * width, columns, c + r * g_.ldc);
    }
  }

  const Gemm<In, Out>& g_;
  const Kernels& kernels_;
  const int64_t width_;       // of a tile and a panel
  int64_t depth_;             // of a block of k
  int64_t units_;             // of depth_
  int64_t columns_;           // of B packed at a time
  bool in_place_transposed_;  // A
  bool pack_a_;
  int64_t a_stride_;  // from one row of A to the next as the kernel reads it, in units
  int64_t task_columns_, task_rows_;

  int64_t start_row_bytes_, sums_bytes_, b_bytes_;
  Sum* start_row_;       // [columns_] the bias or 0
  Sum* sums_;            // [m, columns_] between two blocks of k
  std::byte* b_packed_;  // panels, each [units, width]
  std::byte* a_packed_;  // [m, a_stride_]
};

}  // namespace

template <class In, class Out>
void gemm_packed(const Gemm<In, Out>& product) {
  if (product.m == 0 || product.n == 0) return;
  with_isa([&]<Isa isa>() { PackedProduct<In, Out>(product, gemm_kernels<In, isa>()).run(); });
}

template void gemm_packed(const Gemm<float, float>&);
template void gemm_packed(const Gemm<double, double>&);
template void gemm_packed(const Gemm<bfloat16, bfloat16>&);
template void gemm_packed(const Gemm<bfloat16, float>&);

}  // namespace galvan
