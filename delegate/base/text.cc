#include "delegate/base/text.h"

#include <cstdio>
#include <cstring>

namespace int8x {

Text& Text::append(const char* format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  const int length = std::vsnprintf(nullptr, 0, format, args);
  va_end(args);
  if (length > 0) {
    const size_t old = size();
    bytes_.resize(old + static_cast<size_t>(length) + 1);
    std::vsnprintf(bytes_.data() + old, static_cast<size_t>(length) + 1, format, again);
  }
  va_end(again);
  return *this;
}

Text& Text::append_json(const char* value) {
  append("\"");
  for (const char* c = value; *c != '\0'; ++c) {
    const unsigned char byte = static_cast<unsigned char>(*c);
    if (byte == '"' || byte == '\\') {
      append("\\%c", *c);
    } else if (byte < 0x20) {
      append("\\u%04x", byte);
    } else {
      append("%c", *c);
    }
  }
  return append("\"");
}

void Text::clear() { bytes_.assign(1, '\0'); }

bool next_word(const char** list, const char** word, size_t* length) {
  const char* p = *list;
  while (*p == ' ' || *p == ',') ++p;
  if (*p == '\0') {
    *list = p;
    return false;
  }
  const char* end = p;
  while (*end != '\0' && *end != ',') ++end;
  *list = end;
  while (end[-1] == ' ') --end;
  *word = p;
  *length = static_cast<size_t>(end - p);
  return true;
}

bool list_holds(const char* list, const char* word) {
  const char* found;
  size_t length;
  while (next_word(&list, &found, &length)) {
    if (length == std::strlen(word) && std::memcmp(found, word, length) == 0) return true;
  }
  return false;
}

}  // namespace int8x
