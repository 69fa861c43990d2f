// The ladder of attention's forward pass, in float and bfloat16, from the lowest rung up to what training uses: flash
// attention by FMAs (cuda/attention_forward.cu) and on tensor cores (cuda/flash_forward.cu). What is counted of each:
// README.md.
#pragma once

#include "core/dtype.h"
#include "core/head_layout.h"
#include "cuda/dialect.h"

namespace galvan::ladder {

// Keeps scores in the stream's workspace (cuda/runtime/workspace.h); throws Error when those of one head have no room,
// and where replicas are recorded, which share it (cuda/replicas.h).
template <class T>
void attention_three_pass(cudaStream_t stream, const AttentionSizes& sizes, HeadRows<const T> q,
                          HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse);
// Heads of at most 128.
template <class T>
void attention_online(cudaStream_t stream, const AttentionSizes& sizes, HeadRows<const T> q,
                      HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse);

}  // namespace galvan::ladder
