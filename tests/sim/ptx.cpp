// The simulated bodies of cuda/ptx.h against what the PTX ISA says of the instructions.
#include "cuda/ptx.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace galvan;

namespace {

template <auto kKernel, class... Args>
std::string run_warp(Args... args) {
  sim::Block block;
  const sim::Launch launch{sim::kernel_name<kKernel>(), 1, 32, 0};
  try {
    block.run(launch, {}, [&] { kKernel(args...); });
  } catch (const sim::KernelError& error) {
    return error.what();
  }
  return "";
}

// Row i of matrix m holds 64 m + 8 i + column, as bits.
struct Matrices {
  alignas(16) bfloat16 at[4][8][8];
  Matrices() {
    for (uint16_t i = 0; i < 256; ++i) at[i / 64][i / 8 % 8][i % 8].bits = i;
  }
};

__global__ void load_matrices(const Matrices* in, bool transposed, uint32_t (*out)[4]) {
  const unsigned l = threadIdx.x;
  if (transposed) {
    ldmatrix_x4_transposed(out[l], in->at[l / 8][l % 8]);
  } else {
    ldmatrix_x4(out[l], in->at[l / 8][l % 8]);
  }
}

__global__ void load_unaligned(const Matrices* in) {
  uint32_t r[4];
  ldmatrix_x4(r, in->at[0][0] + 1);
}

// The fragments of a [16, 16], b [16, 8] and d [16, 8], element by element: lane 4 g + t holds
//   a0 a1: (g, 2t + 0 1)   a2 a3: (g + 8, 2t + 0 1)   a4 a5: (g, 2t + 8 9)   a6 a7: (g + 8, 2t + 8 9)
//   b0 b1: (2t + 0 1, g)   b2 b3: (2t + 8 9, g)       d0 d1: (g, 2t + 0 1)   d2 d3: (g + 8, 2t + 0 1)
__global__ void multiply(const float* a, const float* b, float* d) {
  const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
  const auto of_a = [&](unsigned row, unsigned k) { return pack_bf16(a[row * 16 + k], a[row * 16 + k + 1]); };
  const auto of_b = [&](unsigned k) { return pack_bf16(b[k * 8 + g], b[(k + 1) * 8 + g]); };
  const uint32_t fragment[4] = {of_a(g, 2 * t), of_a(g + 8, 2 * t), of_a(g, 2 * t + 8),
                                of_a(g + 8, 2 * t + 8)};
  float sums[4] = {1, 2, 3, 4};
  mma_m16n8k16(sums, fragment, of_b(2 * t), of_b(2 * t + 8));
  for (unsigned i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

__global__ void copy_late(const char* from, char* to, char* seen) {
  GALVAN_SHARED(uint4[2], shared);
  char* const bytes = reinterpret_cast<char*>(shared);
  if (threadIdx.x > 0) return;
  for (int i = 0; i < 32; ++i) bytes[i] = 7;
  cp_async<16>(bytes, from);
  cp_async_commit();
  cp_async<4>(bytes + 16, from + 16);
  cp_async<4>(bytes + 20, nullptr, 0);
  cp_async_commit();
  seen[0] = bytes[1];
  cp_async_wait<1>();
  seen[1] = bytes[1];
  seen[2] = bytes[17];
  cp_async_wait<0>();
  for (int i = 0; i < 32; ++i) to[i] = bytes[i];
}

__global__ void copy_unaligned(const char* from) {
  GALVAN_SHARED(uint4, shared);
  cp_async<16>(&shared, from + 4);
}

}  // namespace

TEST_CASE("ldmatrix: lane l holds two neighbours of row l / 4 of each matrix, or of its transpose") {
  const Matrices in;
  uint32_t out[32][4];
  for (const bool transposed : {false, true}) {
    CHECK(run_warp<load_matrices>(&in, transposed, out) == "");
    for (uint32_t l = 0; l < 32; ++l) {
      for (uint32_t m = 0; m < 4; ++m) {
        const uint32_t row = l / 4, column = 2 * (l % 4);
        const uint32_t low = 64 * m + (transposed ? 8 * column + row : 8 * row + column);
        CHECK(out[l][m] == (low | (low + (transposed ? 8 : 1)) << 16));
      }
    }
  }
  CHECK(run_warp<load_unaligned>(&in).find("ldmatrix: an address 2 bytes past a multiple of 16") !=
        std::string::npos);
}

TEST_CASE("mma m16n8k16 is a matrix product") {
  std::vector<float> a(16 * 16), b(16 * 8), d(16 * 8);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 37 % 101) - 50;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i * 53 % 89) - 44;
  CHECK(run_warp<multiply>(a.data(), b.data(), d.data()) == "");
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      float sum = static_cast<float>(1 + row / 8 * 2 + column % 2);
      for (size_t k = 0; k < 16; ++k) sum += a[row * 16 + k] * b[k * 8 + column];
      CHECK(d[row * 8 + column] == sum);
    }
  }
}

TEST_CASE("cp.async lands at the wait for its group, with zeros for what is not read") {
  alignas(16) char from[32];
  for (int i = 0; i < 32; ++i) from[i] = static_cast<char>(i + 10);
  char to[32], seen[3];
  CHECK(run_warp<copy_late>(from, to, seen) == "");
  CHECK(seen[0] == 7);
  CHECK(seen[1] == 11);
  CHECK(seen[2] == 7);
  for (int i = 0; i < 20; ++i) CHECK(to[i] == i + 10);
  for (int i = 20; i < 24; ++i) CHECK(to[i] == 0);
  for (int i = 24; i < 32; ++i) CHECK(to[i] == 7);
  CHECK(run_warp<copy_unaligned>(from).find("cp.async: an address 4 bytes past a multiple of 16") !=
        std::string::npos);
}

TEST_CASE("pack_bf16 rounds, and puts its first number low") {
  CHECK(pack_bf16(1.0f, -2.0f) == 0xc0003f80u);
  CHECK(pack_bf16(1.00390625f, 0.0f) == 0x3f80u);  // a tie, to even
  CHECK(pack_bf16(-NAN, INFINITY) == 0x7f807fffu);
}
