// Rung 2 of adamw: a tensor after another, each in one pass.
// Before   adamw_1_pass_per_operation.cpp
// Next     core/cpu/optimizer.cpp, which training uses: all tensors are one block of memory, cut into pieces that
//          threads share, whatever the tensors' sizes are
// Changed  every element goes through the whole formula before the next
// Helps    7 reads and writes of memory an element in f32 in place of 15, and nothing is kept in between
// Costs    the tensors of a model are of very different sizes: shared out one by one, threads would wait for the
//          largest
// Figure   10.6 million weights in f32: 12.0 ms, where rung 1 takes 46.5: 25 GB/s, more than twice the speed of a
//          copy, which has one stream to read. Training's 11.7 ms, and 7.9 on two threads (best of 7, on an AMD EPYC
//          (Zen 3), 2026-11-27, one thread)
#include "core/cpu/ladder/ladder.h"
#include "core/cpu/update_elements.h"

namespace galvan::ladder {

template <class T>
void adamw_one_pass(const AdamUpdate<Acc<T>>& update, const UpdateBlocks<T>& blocks, int64_t n) {
  update_elements(update, blocks, n);
}

#define GALVAN_RUNG(T) \
  template void adamw_one_pass(const AdamUpdate<Acc<T>>&, const UpdateBlocks<T>&, int64_t);
GALVAN_RUNG(float)
GALVAN_RUNG(double)
GALVAN_RUNG(bfloat16)

}  // namespace galvan::ladder
