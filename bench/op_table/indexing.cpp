// Indexing and joining, dropout, rotary embeddings.
#include "bench/op_table/op_table.h"
#include "core/random.h"

namespace galvan {
namespace {

// A row of the picked tensor adds up as many gradients as there are indices.
int64_t picks(Inputs in, const Attributes&) { return in[1].numel(); }

Outputs dropped(Inputs in, const Attributes& a) {
  RandomContext::current().begin(1, 2, 3);
  return only(dropout(in[0], a.at("p")));
}

// The same by a mask that is made first.
Outputs dropped_by_mask(Inputs in, const Attributes& a) {
  const double p = a.at("p");
  RandomContext::current().begin(1, 2, 3);
  const RandomStream stream = RandomContext::current().next();
  std::vector<double> mask(in[0].numel());
  for (size_t i = 0; i < mask.size(); ++i)
    mask[i] = uniform_from(stream.words(i / 4)[i % 4]) >= p ? 1.0 / (1.0 - p) : 0.0;
  return only(mul(in[0], Tensor::from(mask, in[0].shape(), {.dtype = in[0].dtype()})));
}

Outputs packed_rope_twin(Inputs in, const Attributes& a) {
  const int64_t H = a.at("heads"), G = a.at("kv_heads"), B = in[0].size(0), T = in[0].size(1);
  const Tensor heads = in[0].reshape({B, T, H + 2 * G, -1}).transpose(1, 2);
  const Tensor turned = rope(heads.slice(1, 0, H + G), a.at("offset"));
  return only(cat({turned, heads.slice(1, H + G, H + 2 * G)}, 1).transpose(1, 2).reshape(in[0].shape()));
}

OpCase embedding_case(const char* name, int64_t V, int64_t places, int64_t C, const Shape& indices,
                      int64_t first) {
  return {name,
          {{.shape = {V, C}}, {.shape = {places, C}}, {.shape = indices, .dtype = DType::i32, .below = V}},
          {{"first", first}}};
}

}  // namespace

std::vector<OpRow> indexing_rows() {
  return {
      {.name = "embedding",
       .op = "embedding",
       .call = [](Inputs in, const Attributes&) { return only(embedding(in[0], in[1])); },
       .length = picks,
       .bench = [](const Sizes& n) -> OpCase {
         return {"characters",
                 {{.shape = {n.V, n.C}}, {.shape = {n.B * n.T}, .dtype = DType::i32, .below = n.V}}};
       }},
      {.name = "embedding_at",
       .op = "embedding_at",
       .call = [](Inputs in,
                  const Attributes& a) { return only(embedding_at(in[0], in[1], in[2], a.at("first"))); },
       .length = [](Inputs in, const Attributes&) { return in[2].numel(); },
       .twin =
           [](Inputs in, const Attributes& a) {
             const int64_t first = a.at("first");
             return only(add(embedding(in[0], in[2]), in[1].slice(0, first, first + in[2].size(1))));
           },
       .cases = {embedding_case("all positions", 5, 3, 4, {2, 3}, 0),
                 embedding_case("some positions", 7, 9, 33, {3, 5}, 2),
                 embedding_case("whole packs", 65, 16, 16, {4, 16}, 0)},
       .bench = [](const Sizes& n) -> OpCase {
         return embedding_case("characters", n.V, n.T, n.C, {n.B, n.T}, 0);
       }},
      {.name = "gather",
       .op = "gather",
       .call = [](Inputs in, const Attributes& a) { return only(gather(in[0], a.at("dim"), in[1])); },
       .length = picks,
       .bench = [](const Sizes& n) -> OpCase {
         return {"targets",
                 {{.shape = {n.B * n.T, n.V}}, {.shape = {n.B * n.T, 1}, .dtype = DType::i32, .below = n.V}},
                 {{"dim", 1}}};
       }},
      {.name = "index_select",
       .op = "index_select",
       .call = [](Inputs in, const Attributes& a) { return only(index_select(in[0], a.at("dim"), in[1])); },
       .length = picks,
       .bench = [](const Sizes& n) -> OpCase {
         return {"columns",
                 {{.shape = {n.B * n.T, n.C}}, {.shape = {n.D()}, .dtype = DType::i32, .below = n.C}},
                 {{"dim", 1}}};
       }},
      {.name = "cat",
       .op = "cat",
       .call =
           [](Inputs in, const Attributes& a) {
             return only(cat(std::vector<Tensor>(in.begin(), in.end()), a.at("dim")));
           },
       .bench = [](const Sizes& n) -> OpCase {
         return {"columns", {{.shape = {n.B * n.T, n.C}}, {.shape = {n.B * n.T, n.D()}}}, {{"dim", 1}}};
       }},
      {.name = "stack",
       .op = "cat",
       .call =
           [](Inputs in, const Attributes& a) {
             return only(stack(std::vector<Tensor>(in.begin(), in.end()), a.at("dim")));
           },
       .bench = [](const Sizes& n) -> OpCase {
         return {"rows", {{.shape = {n.B * n.T, n.C}}, {.shape = {n.B * n.T, n.C}}}, {{"dim", 0}}};
       }},
      {.name = "split",
       .op = "copy",  // views; the gradients are copied into place
       .call =
           [](Inputs in, const Attributes& a) {
             return split(in[0], a.at("sizes").get<std::vector<int64_t>>(), a.at("dim"));
           },
       .bench = [](const Sizes& n) -> OpCase {
         return {"heads", {{.shape = {n.B * n.T, 3 * n.C}}}, {{"sizes", {n.C, n.C, n.C}}, {"dim", 1}}};
       }},
      {.name = "dropout",
       .op = "dropout",
       .call = dropped,
       .twin = dropped_by_mask,
       .cases = {{"third", {{.shape = {5, 67}}}, {{"p", 0.3}}}, {"none", {{.shape = {9}}}, {{"p", 0.0}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"dropout", {{.shape = {n.B * n.T, n.C}}}, {{"p", 0.2}}};
       }},
      {.name = "rope",
       .op = "rope",
       .call = [](Inputs in,
                  const Attributes& a) { return only(rope(in[0], a.at("offset"), a.at("theta"))); },
       .length = [](Inputs, const Attributes&) { return int64_t{2}; },
       .bench = [](const Sizes& n) -> OpCase {
         return {"heads", {{.shape = {n.B, n.H, n.T, n.D()}}}, {{"offset", 0}, {"theta", 10000.0}}};
       }},
      {.name = "packed_rope",
       .op = "rope",
       .call =
           [](Inputs in, const Attributes& a) {
             return only(packed_rope(in[0], a.at("heads"), a.at("kv_heads"), a.at("offset")));
           },
       .length = [](Inputs, const Attributes&) { return int64_t{2}; },
       .twin = packed_rope_twin,
       .cases = {{"grouped", {{.shape = {2, 3, 32}}}, {{"heads", 4}, {"kv_heads", 2}, {"offset", 5}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {
             "packed", {{.shape = {n.B, n.T, 3 * n.C}}}, {{"heads", n.H}, {"kv_heads", n.H}, {"offset", 0}}};
       }},
  };
}

}  // namespace galvan
