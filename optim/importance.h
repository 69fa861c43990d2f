// How much each parameter of a search matters: functional analysis of variance over a random forest (Hutter, Hoos,
// Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014). A forest of regression trees
// learns the value of a point; a parameter's importance is the part of the forest's variance over the whole space that it
// explains alone, whatever the others are.
#pragma once

#include <cstdint>
#include <vector>

namespace galvan {

struct ImportanceOptions {
  int64_t trees = 64;
  int64_t least_to_split = 4;  // points of a leaf that is split further
  uint64_t seed = 0;
};

// For each coordinate its share of the variance, from 0 to 1; the shares add up to at most 1, what is left being how
// coordinates act together. `points`: at least 4, each as many coordinates in [0, 1]; `values`: one a point, finite.
std::vector<double> importance(const std::vector<std::vector<double>>& points,
                               const std::vector<double>& values, const ImportanceOptions& options = {});

}  // namespace galvan
