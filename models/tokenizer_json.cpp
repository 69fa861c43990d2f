#include "models/tokenizer_json.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "core/check.h"
#include "models/utf8.h"

namespace galvan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kEveryCharacter = "[\\s\\S]";  // a dot would not match a line break

// GPT-2's alphabet: printable bytes of Latin-1 stand for themselves, the others for U+0100, U+0101, ... in
// order.
struct ByteAlphabet {
  std::array<int32_t, 256> code_point;
  std::array<int, 512> byte;  // -1: no byte has this code point
  std::array<unsigned char, 256> order;

  ByteAlphabet() {
    byte.fill(-1);
    int32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xFF && b != 0xAD);
      code_point[static_cast<size_t>(b)] = printable ? b : next++;
      byte[static_cast<size_t>(code_point[static_cast<size_t>(b)])] = b;
    }
    size_t place = 0;
    for (int b : byte)
      if (b >= 0) order[place++] = static_cast<unsigned char>(b);
  }
};

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

std::string to_alphabet(std::string_view bytes) {
  std::string text;
  for (char c : bytes) append_utf8(text, byte_alphabet().code_point[static_cast<unsigned char>(c)]);
  return text;
}

// False where a character is not in the alphabet.
bool from_alphabet(std::string_view text, std::string& bytes) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    const int byte = c.value >= 0 && c.value < 512 ? byte_alphabet().byte[static_cast<size_t>(c.value)] : -1;
    if (byte < 0) return false;
    bytes.push_back(static_cast<char>(byte));
    at += static_cast<size_t>(c.length);
  }
  return true;
}

// ---- reading ----

// object[name], null where there is none.
const json& member(const json& object, const char* name) {
  static const json null;
  if (!object.is_object()) return null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

std::string type_of(const json& part) {
  const json& type = member(part, "type");
  return type.is_string() ? type.get<std::string>() : "";
}

// A switch that may be absent.
bool flag(const json& object, const char* name, bool absent) {
  const json& value = member(object, name);
  check(value.is_null() || value.is_boolean(), "tokenizer: ", name, " is neither true nor false");
  return value.is_null() ? absent : value.get<bool>();
}

void check_type(const json& root, const char* part, std::string_view wanted) {
  const json& value = member(root, part);
  const std::string type = value.is_null() ? "none" : type_of(value);
  check(type == wanted, "tokenizer: ", part, " is ", type.empty() ? "without a type" : type,
        "; supported here: ", wanted);
}

int32_t read_id(const json& value, size_t count) {
  check(value.is_number_integer(), "tokenizer: a token's id is no integer");
  const int64_t id = value.get<int64_t>();
  check(id >= 0 && id < static_cast<int64_t>(count), "tokenizer: token id ", id, " is outside 0..", count - 1,
        ", for ", count, " tokens");
  return static_cast<int32_t>(id);
}

// The strings of "vocab" by id, with the added tokens that are not in it at the end.
std::vector<std::string> read_vocabulary(const json& vocab,
                                         const std::vector<std::pair<json, std::string>>& extra) {
  check(vocab.is_object(), "tokenizer: model.vocab is missing");
  const size_t count = vocab.size() + extra.size();
  check(count > 0, "tokenizer: the vocabulary is empty");
  std::vector<std::string> tokens(count);
  std::vector<bool> seen(count);
  const auto place = [&](const json& value, const std::string& token) {
    const size_t id = static_cast<size_t>(read_id(value, count));
    check(!seen[id], "tokenizer: two tokens have the id ", id);
    seen[id] = true;
    tokens[id] = token;
  };
  for (const auto& [token, id] : vocab.items()) place(id, token);
  for (const auto& [id, token] : extra) place(id, token);
  return tokens;
}

std::unique_ptr<Tokenizer> read_characters(const json& root) {
  check_type(root, "pre_tokenizer", "Split");
  const json& split = member(root, "pre_tokenizer");
  const bool each = member(member(split, "pattern"), "Regex") == kEveryCharacter &&
                    !flag(split, "invert", false) && member(split, "behavior") == "Isolated";
  check(each, "tokenizer: a WordLevel model is supported only when every character is a word");
  check(member(root, "added_tokens").empty(), "tokenizer: added tokens are supported only for a BPE model");
  return std::make_unique<CharacterTokenizer>(read_vocabulary(member(member(root, "model"), "vocab"), {}));
}

// Merges name their tokens as "a b" or as ["a", "b"].
std::pair<std::string, std::string> read_merge(const json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  check(merge.is_string(), "tokenizer: a merge is neither \"a b\" nor [\"a\", \"b\"]");
  const std::string text = merge.get<std::string>();
  const size_t space = text.find(' ');
  check(space != std::string::npos && text.find(' ', space + 1) == std::string::npos,
        "tokenizer: the merge \"", text, "\" does not name two tokens");
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<BpeMerge> read_merges(const json& merges, const std::unordered_map<std::string, int32_t>& id_of) {
  check(merges.is_array(), "tokenizer: model.merges is missing");
  const auto id = [&](const std::string& token) {
    const auto found = id_of.find(token);
    check(found != id_of.end(), "tokenizer: a merge needs the token \"", token,
          "\", which is not in the vocabulary");
    return found->second;
  };
  std::vector<BpeMerge> result;
  result.reserve(merges.size());
  for (const json& merge : merges) {
    const auto [left, right] = read_merge(merge);
    result.push_back({id(left), id(right), id(left + right)});
  }
  return result;
}

std::unique_ptr<Tokenizer> read_bpe(const json& root) {
  check_type(root, "pre_tokenizer", "ByteLevel");
  const json& words = member(root, "pre_tokenizer");
  check(!flag(words, "add_prefix_space", true), "tokenizer: add_prefix_space is not supported");
  const json& after = member(root, "post_processor");
  check(after.is_null() || type_of(after) == "ByteLevel", "tokenizer: post_processor is ", type_of(after),
        "; supported here: none or ByteLevel");
  const json& model = member(root, "model");
  for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = member(model, name);
    check(value.is_null() || value == "" || value == 0.0, "tokenizer: model.", name, " is not supported");
  }
  check(!flag(model, "byte_fallback", false), "tokenizer: model.byte_fallback is not supported");
  check(!flag(model, "ignore_merges", false), "tokenizer: model.ignore_merges is not supported");

  const json& vocab = member(model, "vocab");
  const json& added = member(root, "added_tokens");
  std::vector<std::pair<json, std::string>> extra;  // added tokens that the vocabulary lacks
  for (const json& token : added) {
    const json& content = member(token, "content");
    check(content.is_string() && !content.get_ref<const std::string&>().empty(),
          "tokenizer: an added token has no content");
    for (const char* name : {"single_word", "lstrip", "rstrip"})
      check(!flag(token, name, false), "tokenizer: the added token ", content, " has ", name,
            ", which is not supported");
    if (member(vocab, content.get_ref<const std::string&>().c_str()).is_null())
      extra.emplace_back(member(token, "id"), content.get<std::string>());
  }

  BpeParts parts;
  parts.tokens = read_vocabulary(vocab, extra);
  parts.split_words = flag(words, "use_regex", true);
  std::unordered_map<std::string, int32_t> id_of;
  for (size_t id = 0; id < parts.tokens.size(); ++id)
    id_of.emplace(parts.tokens[id], static_cast<int32_t>(id));
  parts.merges = read_merges(member(model, "merges"), id_of);

  std::vector<bool> is_added(parts.tokens.size());
  for (const json& token : added) {
    const std::string content = token["content"].get<std::string>();
    const int32_t id = read_id(member(token, "id"), parts.tokens.size());
    check(id_of.at(content) == id, "tokenizer: the added token \"", content, "\" has two ids");
    parts.added.push_back({id, flag(token, "special", false)});
    is_added[static_cast<size_t>(id)] = true;
  }
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    if (is_added[id]) continue;  // stands for itself, not in the byte alphabet
    std::string bytes;
    check(from_alphabet(parts.tokens[id], bytes) && !bytes.empty(), "tokenizer: token ", id, ", \"",
          parts.tokens[id], "\", is not in the byte alphabet");
    parts.tokens[id] = std::move(bytes);
  }
  return std::make_unique<BpeTokenizer>(std::move(parts));
}

// ---- writing ----

ordered_json vocabulary_json(const std::vector<std::string>& names) {
  ordered_json vocab = ordered_json::object();
  // The object is a list that looks through all of its keys on every insertion; going under it avoids that.
  std::vector<std::pair<const std::string, ordered_json>>& list = vocab.get_ref<ordered_json::object_t&>();
  list.reserve(names.size());
  for (size_t id = 0; id < names.size(); ++id) list.emplace_back(names[id], id);
  return vocab;
}

ordered_json root_json(ordered_json added, ordered_json before, ordered_json decoder, ordered_json model) {
  return {{"version", "1.0"},          {"truncation", nullptr}, {"padding", nullptr},
          {"added_tokens", added},     {"normalizer", nullptr}, {"pre_tokenizer", before},
          {"post_processor", nullptr}, {"decoder", decoder},    {"model", model}};
}

}  // namespace

const std::array<unsigned char, 256>& byte_alphabet_order() { return byte_alphabet().order; }

std::unique_ptr<Tokenizer> read_tokenizer_json(std::string_view text) {
  const json root = json::parse(text, nullptr, false);
  check(!root.is_discarded(), "tokenizer: not a tokenizer.json: it is no valid JSON");
  const json& model = member(root, "model");
  check(model.is_object(), "tokenizer: not a tokenizer.json: it has no model");
  check(member(root, "version") == "1.0", "tokenizer: version is ", member(root, "version"),
        "; supported here: \"1.0\"");
  check(member(root, "normalizer").is_null(), "tokenizer: normalizers are not supported");
  const json& added = member(root, "added_tokens");
  check(added.is_null() || added.is_array(), "tokenizer: added_tokens is no list");
  // Files from before models had a type are GPT-2's.
  const std::string type =
      member(model, "type").is_null() && model.contains("merges") ? "BPE" : type_of(model);
  if (type == "BPE") return read_bpe(root);
  if (type == "WordLevel") return read_characters(root);
  fail("tokenizer: the model is ", type.empty() ? "without a type" : type,
       "; supported here: BPE and WordLevel");
}

std::string character_tokenizer_json(const std::vector<std::string>& characters) {
  const ordered_json split = {{"type", "Split"},
                              {"pattern", {{"Regex", kEveryCharacter}}},
                              {"behavior", "Isolated"},
                              {"invert", false}};
  const ordered_json model = {
      {"type", "WordLevel"}, {"vocab", vocabulary_json(characters)}, {"unk_token", "<unk>"}};
  return root_json(ordered_json::array(), split, {{"type", "Fuse"}}, model).dump(2) + "\n";
}

std::string bpe_tokenizer_json(const std::vector<std::string>& tokens, const std::vector<BpeMerge>& merges,
                               const std::vector<AddedToken>& added, bool split_words) {
  std::vector<std::string> names;
  for (const std::string& token : tokens) names.push_back(to_alphabet(token));
  ordered_json added_json = ordered_json::array();
  for (const AddedToken& token : added) {
    const std::string& content = tokens[static_cast<size_t>(token.id)];
    names[static_cast<size_t>(token.id)] = content;
    added_json.push_back({{"id", token.id},
                          {"content", content},
                          {"single_word", false},
                          {"lstrip", false},
                          {"rstrip", false},
                          {"normalized", false},
                          {"special", token.special}});
  }
  ordered_json merges_json = ordered_json::array();
  for (const BpeMerge& merge : merges)
    merges_json.push_back({names[static_cast<size_t>(merge.left)], names[static_cast<size_t>(merge.right)]});
  const ordered_json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", split_words}};
  const ordered_json model = {{"type", "BPE"},
                              {"dropout", nullptr},
                              {"unk_token", nullptr},
                              {"continuing_subword_prefix", nullptr},
                              {"end_of_word_suffix", nullptr},
                              {"fuse_unk", false},
                              {"byte_fallback", false},
                              {"ignore_merges", false},
                              {"vocab", vocabulary_json(names)},
                              {"merges", merges_json}};
  return root_json(added_json, byte_level, byte_level, model).dump(2) + "\n";
}

}  // namespace galvan
