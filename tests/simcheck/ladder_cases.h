// The ladders' calls at small shapes: what each version of a kernel (core/variants.h) is counted on.
#pragma once

#include <functional>

#include "card.h"
#include "core/variants.h"

namespace galvan {

// A version, what the head of its file says of memory and how many bytes that is (memory_statements.h); nothing where
// another file of tests has that.
struct Rung {
  std::string version;
  std::string memory = {};
  int64_t distinct = 0, asked = 0;
  std::string file = {};  // where it stands, if not where its Variant says
};

struct Ladder {
  std::string name;  // of its table
  std::string kernel, shape;
  std::function<void(Card&)> call;
  std::vector<Rung> rungs;  // from the lowest up

  std::string file_of(const Rung& rung) const;  // "cuda/softmax.cu"
  std::function<void(Card&)> by(const Rung& rung) const {
    return [kernel = kernel, version = rung.version, call = call](Card& card) {
      const ChosenVariant chosen(variants_of(kernel, "cuda"), version);
      call(card);
    };
  }
};

const std::vector<Ladder>& ladders();

}  // namespace galvan
