// A growing piece of text: messages and the delegate's description of itself.

#ifndef INT8X_BASE_TEXT_H_
#define INT8X_BASE_TEXT_H_

#include <cstdarg>
#include <cstddef>
#include <vector>

namespace int8x {

class Text {
 public:
  Text() { clear(); }

#if defined(__GNUC__)
  __attribute__((format(printf, 2, 3)))
#endif
  Text&
  append(const char* format, ...);
  // `value` as a quoted JSON string.
  Text& append_json(const char* value);

  void clear();
  const char* c_str() const { return bytes_.data(); }
  size_t size() const { return bytes_.size() - 1; }

 private:
  std::vector<char> bytes_;  // ends in one NUL
};

// True when the comma-separated `list` holds `word`; spaces around words do not count.
bool list_holds(const char* list, const char* word);

// The next word of a comma-separated list without the spaces around it; *list moves behind it.
// False at the end. Empty words are passed over.
bool next_word(const char** list, const char** word, size_t* length);

}  // namespace int8x

#endif  // INT8X_BASE_TEXT_H_
