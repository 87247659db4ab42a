#include "delegate/options.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "delegate/base/thread_pool.h"
#include "delegate/ops/operator.h"

namespace int8x {
namespace {

constexpr const char* kKeys = "num_threads, allow_ops, deny_ops, arch, sparse, profile, log_level";
constexpr const char* kArchs =
    "auto, reference, avx2, avxvnni, avx512vnni, avx512vbmi, avx512amx, neon, neondot, neoni8mm";

bool equal(const char* a, const char* b) { return std::strcmp(a, b) == 0; }

bool set_threads(const char* value, int* out, Text* error) {
  char* end = nullptr;
  errno = 0;
  const long n = std::strtol(value, &end, 10);
  if (*value == '\0' || *end != '\0' || errno != 0 || n > ThreadPool::kMaxThreads ||
      (n < 1 && n != -1)) {
    error->append(
        "int8x delegate: option num_threads wants a whole number from 1 to %d, or -1 "
        "for the interpreter's own; got \"%s\"",
        ThreadPool::kMaxThreads, value);
    return false;
  }
  *out = static_cast<int>(n);
  return true;
}

bool set_operators(const char* key, const char* value, Text* out, Text* error) {
  const char* rest = value;
  const char* word;
  size_t length;
  while (next_word(&rest, &word, &length)) {
    if (!is_operator_name(word, length)) {
      error->append("int8x delegate: option %s names an unknown operator \"%.*s\"; known are %s",
                    key, static_cast<int>(length), word, operator_names());
      return false;
    }
  }
  out->clear();
  out->append("%s", value);
  return true;
}

bool set_flag(const char* key, const char* value, bool* out, Text* error) {
  if (equal(value, "1") || equal(value, "true") || equal(value, "True")) {
    *out = true;
  } else if (equal(value, "0") || equal(value, "false") || equal(value, "False")) {
    *out = false;
  } else {
    error->append("int8x delegate: option %s wants 0 or 1, got \"%s\"", key, value);
    return false;
  }
  return true;
}

bool set_sparse(const char* value, SparseUse* out, Text* error) {
  if (equal(value, "auto")) {
    *out = SparseUse::automatic;
  } else if (equal(value, "on")) {
    *out = SparseUse::on;
  } else if (equal(value, "off")) {
    *out = SparseUse::off;
  } else {
    error->append("int8x delegate: option sparse wants auto, on or off; got \"%s\"", value);
    return false;
  }
  return true;
}

bool set_log_level(const char* value, LogLevel* out, Text* error) {
  if (equal(value, "silent")) {
    *out = LogLevel::silent;
  } else if (equal(value, "warning")) {
    *out = LogLevel::warning;
  } else if (equal(value, "info")) {
    *out = LogLevel::info;
  } else {
    error->append("int8x delegate: option log_level wants silent, warning or info; got \"%s\"",
                  value);
    return false;
  }
  return true;
}

}  // namespace

bool Options::allows(const char* op) const {
  if (list_holds(deny_ops.c_str(), op)) return false;
  return allow_ops.size() == 0 || list_holds(allow_ops.c_str(), op);
}

bool set_option(const char* key, const char* value, Options* options, Text* error) {
  if (equal(key, "num_threads")) return set_threads(value, &options->num_threads, error);
  if (equal(key, "allow_ops")) return set_operators(key, value, &options->allow_ops, error);
  if (equal(key, "deny_ops")) return set_operators(key, value, &options->deny_ops, error);
  if (equal(key, "sparse")) return set_sparse(value, &options->sparse, error);
  if (equal(key, "profile")) return set_flag(key, value, &options->profile, error);
  if (equal(key, "log_level")) return set_log_level(value, &options->log_level, error);
  if (equal(key, "arch")) return resolve(value, options, error);
  error->append("int8x delegate: unknown option \"%s\"; known are %s", key, kKeys);
  return false;
}

bool resolve(const char* arch, Options* options, Text* error) {
  const char* source = "option arch";
  if (arch == nullptr || equal(arch, "auto")) {
    arch = "auto";
    const char* forced = std::getenv("INT8X_ARCH");
    if (forced != nullptr && *forced != '\0') {
      arch = forced;
      source = "environment variable INT8X_ARCH";
    }
  }
  switch (arch::choose(arch, &options->archs)) {
    case arch::Choice::ok:
      return true;
    case arch::Choice::unknown_name:
      error->append("int8x delegate: %s wants one of %s; got \"%s\"", source, kArchs, arch);
      return false;
    case arch::Choice::not_on_this_cpu:
      error->append("int8x delegate: %s asks for \"%s\", which this CPU does not have; it has",
                    source, arch);
      for (int a = 0; a < arch::kArchCount; ++a) {
        if (arch::has(arch::supported(), static_cast<arch::Arch>(a))) {
          error->append(" %s", arch::name(static_cast<arch::Arch>(a)));
        }
      }
      return false;
  }
  return false;
}

bool read_options(const Int8xDelegateOptions& from, Options* options, Text* error) {
  char threads[16];
  std::snprintf(threads, sizeof threads, "%d", from.num_threads);
  const struct {
    const char* key;
    const char* value;
  } pairs[] = {
      {"num_threads", threads},
      {"allow_ops", from.allow_ops},
      {"deny_ops", from.deny_ops},
      {"arch", from.arch},
      {"profile", from.profile == 0   ? "0"
                  : from.profile == 1 ? "1"
                                      : "another number"},
      {"log_level", from.log_level},
      {"sparse", from.sparse},
  };
  for (const auto& pair : pairs) {
    if (pair.value != nullptr && !set_option(pair.key, pair.value, options, error)) return false;
  }
  return options->archs != 0 || resolve(nullptr, options, error);
}

}  // namespace int8x
