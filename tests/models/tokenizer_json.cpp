// Foreign and damaged tokenizer.json files: one line each.

#include "models/tokenizer_json.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/check.h"
#include "models/files.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
using nlohmann::json;

namespace {

json bpe_file() { return json::parse(BpeTokenizer::train("abc abc", {.vocab_size = 259})->to_json()); }
json character_file() { return json::parse(CharacterTokenizer::train("abc")->to_json()); }

// What loading the file says once `path` (a JSON pointer) is replaced.
std::string error_with(json file, const char* path, const json& value) {
  file[json::json_pointer(path)] = value;
  try {
    Tokenizer::from_json(file.dump());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string error_of(std::string_view text) {
  try {
    Tokenizer::from_json(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("tokenizer.json: what is no such file") {
  CHECK(error_of("") == "tokenizer: not a tokenizer.json: it is no valid JSON");
  CHECK(error_of("{\"model\": ") == "tokenizer: not a tokenizer.json: it is no valid JSON");
  CHECK(error_of("\xFF\xFE\x00") == "tokenizer: not a tokenizer.json: it is no valid JSON");
  CHECK(error_of("[1, 2]") == "tokenizer: not a tokenizer.json: it has no model");
  CHECK(error_of("{\"n_layer\": 4}") == "tokenizer: not a tokenizer.json: it has no model");
  CHECK(error_of("{\"version\": \"1.0\", \"model\": {}}") ==
        "tokenizer: the model is without a type; supported here: BPE and WordLevel");

  TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "tokenizer.json";
  write_file_atomically(path, "{");
  CHECK_THROWS_WITH_AS(Tokenizer::load(path),
                       (path.string() + ": tokenizer: not a tokenizer.json: it is no valid JSON").c_str(),
                       Error);
}

TEST_CASE("tokenizer.json: parts that are not supported are named") {
  const json bpe = bpe_file(), characters = character_file();
  CHECK(error_with(bpe, "/version", "2.0") == "tokenizer: version is \"2.0\"; supported here: \"1.0\"");
  CHECK(error_with(bpe, "/model/type", "Unigram") ==
        "tokenizer: the model is Unigram; supported here: BPE and WordLevel");
  CHECK(error_with(bpe, "/normalizer", {{"type", "NFC"}}) == "tokenizer: normalizers are not supported");
  CHECK(error_with(bpe, "/pre_tokenizer", nullptr) ==
        "tokenizer: pre_tokenizer is none; supported here: ByteLevel");
  CHECK(error_with(bpe, "/pre_tokenizer/type", "Metaspace") ==
        "tokenizer: pre_tokenizer is Metaspace; supported here: ByteLevel");
  CHECK(error_with(bpe, "/pre_tokenizer/add_prefix_space", true) ==
        "tokenizer: add_prefix_space is not supported");
  CHECK(error_with(bpe, "/pre_tokenizer/use_regex", 1) == "tokenizer: use_regex is neither true nor false");
  CHECK(error_with(bpe, "/post_processor", {{"type", "TemplateProcessing"}}) ==
        "tokenizer: post_processor is TemplateProcessing; supported here: none or ByteLevel");
  CHECK(error_with(bpe, "/model/byte_fallback", true) == "tokenizer: model.byte_fallback is not supported");
  CHECK(error_with(bpe, "/model/dropout", 0.1) == "tokenizer: model.dropout is not supported");
  CHECK(error_with(bpe, "/added_tokens", 3) == "tokenizer: added_tokens is no list");
  CHECK(error_with(bpe, "/added_tokens", {{{"id", 259}, {"content", "<mask>"}, {"lstrip", true}}}) ==
        "tokenizer: the added token \"<mask>\" has lstrip, which is not supported");
  CHECK(error_with(characters, "/pre_tokenizer", {{"type", "Whitespace"}}) ==
        "tokenizer: pre_tokenizer is Whitespace; supported here: Split");
  CHECK(error_with(characters, "/pre_tokenizer/behavior", "Removed") ==
        "tokenizer: a WordLevel model is supported only when every character is a word");
  CHECK(error_with(characters, "/added_tokens", {{{"id", 3}, {"content", "<s>"}}}) ==
        "tokenizer: added tokens are supported only for a BPE model");
}

TEST_CASE("tokenizer.json: a damaged vocabulary or merge") {
  const json bpe = bpe_file(), characters = character_file();
  CHECK(error_with(bpe, "/model/vocab", {1, 2}) == "tokenizer: model.vocab is missing");
  CHECK(error_with(characters, "/model/vocab", json::object()) == "tokenizer: the vocabulary is empty");
  CHECK(error_with(bpe, "/model/vocab/a", "x") == "tokenizer: a token's id is no integer");
  CHECK(error_with(bpe, "/model/vocab/a", 1e30) == "tokenizer: a token's id is no integer");
  CHECK(error_with(bpe, "/model/vocab/a", 259) ==
        "tokenizer: token id 259 is outside 0..257, for 258 tokens");
  CHECK(error_with(bpe, "/model/vocab/a", -1) == "tokenizer: token id -1 is outside 0..257, for 258 tokens");
  CHECK(error_with(bpe, "/model/vocab/a", 0) == "tokenizer: two tokens have the id 0");
  CHECK(error_with(bpe, "/model/vocab/日", 258) ==
        "tokenizer: token 258, \"日\", is not in the byte alphabet");
  CHECK(error_with(bpe, "/model/merges", nullptr) == "tokenizer: model.merges is missing");
  CHECK(error_with(bpe, "/model/merges/0", 5) == "tokenizer: a merge is neither \"a b\" nor [\"a\", \"b\"]");
  CHECK(error_with(bpe, "/model/merges/0", "ab") == "tokenizer: the merge \"ab\" does not name two tokens");
  CHECK(error_with(bpe, "/model/merges/0", {"a", "zz"}) ==
        "tokenizer: a merge needs the token \"zz\", which is not in the vocabulary");
  CHECK(error_with(bpe, "/model/merges/0", {"c", "a"}) ==
        "tokenizer: a merge needs the token \"ca\", which is not in the vocabulary");
  CHECK(error_with(characters, "/model/vocab", {{"a", 0}, {"bc", 1}}) ==
        "tokenizer: token 1, \"bc\", is not one character");
  CHECK(error_with(bpe, "/added_tokens", {{{"id", 3}, {"content", "a"}}}) ==
        "tokenizer: the added token \"a\" has two ids");
}

TEST_CASE("tokenizer.json: a file without all bytes loads, and names the byte that it cannot encode") {
  json file = bpe_file();
  file["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}};
  file["model"]["merges"] = {"a b"};
  const auto tokenizer = Tokenizer::from_json(file.dump());
  CHECK(tokenizer->encode("abb") == std::vector<int32_t>{2, 1});
  CHECK_THROWS_WITH_AS(tokenizer->encode("abc"), "tokenizer: byte 99 is not in the vocabulary", Error);
}

TEST_CASE("tokenizer.json: cut anywhere it is an error, never a crash") {
  const std::string whole = BpeTokenizer::train("abc abc", {.vocab_size = 259})->to_json();
  for (size_t size = 0; size < whole.size() - 2; size += 101)
    CHECK_THROWS_AS(Tokenizer::from_json(std::string_view(whole).substr(0, size)), Error);
}

TEST_CASE("tokenizer.json: the file beside it for Transformers") {
  const json config = json::parse(Tokenizer::transformers_config());
  CHECK(config ==
        json{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}});
}
