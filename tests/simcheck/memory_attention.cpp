#include "attention_case.h"
#include "memory_statements.h"

namespace galvan {
namespace {

// One query and key/value head shared by two: H = 2, G = 1.
constexpr int64_t B = 1, H = 2, G = 1, D = 32;

// Of elements of kSize bytes, with blocks of kM rows. Forward: every tensor once, k and v for every kM queries.
Traffic forward(const std::string& what, bool bf16, int64_t Tq, int64_t Tk, int64_t kM) {
  const int64_t size = bf16 ? 2 : 4, queries = B * H * Tq * D * size, keys = B * G * Tk * D * size;
  const int64_t tiles = (Tq + kM - 1) / kM, lse = B * H * Tq * 4;
  return {what,
          [=](Card& card) {
            const AttentionSizes sizes{B, H, G, Tq, Tk, D};
            bf16 ? AttentionCase<bfloat16>(card, sizes).forward(card.on())
                 : AttentionCase<float>(card, sizes).forward(card.on());
          },
          2 * queries + 2 * keys + lse, 2 * queries + 2 * keys * H / G * tiles + lse};
}

// A backward, of two launches or, in bf16, of one. dQ: q, k, v, y, dy and lse to dq, with k and v for every kM queries,
// and rows of dy for delta once more; in bf16, up to kM keys, nothing but dq, which comes with dK and dV. These: q, k, v,
// y, dy and lse to dk and dv, q, dy and y for every kM keys; without the products' tiles in bfloat16 delta reads dy once
// more.
Traffic backward(const std::string& what, bool bf16, int64_t Tq, int64_t Tk, int64_t kM) {
  const int64_t size = bf16 ? 2 : 4, queries = B * H * Tq * D * size, keys = B * G * Tk * D * size;
  const int64_t query_tiles = (Tq + kM - 1) / kM, key_tiles = (Tk + kM - 1) / kM, lse = B * H * Tq * 4;
  const int64_t of_dq = bf16 && Tk <= kM ? queries : 5 * queries + 2 * keys * H / G * query_tiles + lse;
  const int64_t of_dk = 4 * keys + ((bf16 ? 3 : 4) * queries + lse) * key_tiles;
  return {
      what,
      [=](Card& card) {
        const AttentionSizes sizes{B, H, G, Tq, Tk, D};
        bf16 ? AttentionCase<bfloat16>(card, sizes).backward(card.on())
             : AttentionCase<float>(card, sizes).backward(card.on());
      },
      bf16 ? 4 * queries + 4 * keys + lse : (4 * queries + 2 * keys + lse) + (3 * queries + 4 * keys + lse),
      of_dq + of_dk};
}

}  // namespace

std::vector<Statement> attention_statements() {
  return {
      {"attention_forward.cu",
       "q, k, v, y and lse once; asked for are k and v by every kM queries of a head, from L2; T x T scores "
       "are never stored",
       {forward("f32", false, 128, 64, 64)}},
      {"attention_backward.cu",
       "two launches: q, k, v, y, dy, lse and dq once; then the same and dk, dv. Asked for, from L2: k and v "
       "by every kM queries of a head, and dy twice; then q, y, lse and dy (twice) by every kM keys",
       {backward("f32", false, 128, 96, 64)}},
      {"flash_forward.cu",
       "q, k, v, y and lse once; asked for are k and v by every 64 queries of a head, from L2; T x T scores "
       "are never stored",
       {forward("bf16", true, 128, 192, 64)}},
      {"flash_backward.cu",
       "q, k, v, y, dy, lse, dq, dk and dv once. Asked for, from L2, with more than 64 keys, for dQ: k and v "
       "by every 64 queries of a head, and dy twice; for dK and dV: q, y, dy and lse by every 64 keys",
       {backward("bf16", true, 192, 128, 64), backward("bf16, few keys", true, 192, 64, 64)}},
  };
}

}  // namespace galvan
