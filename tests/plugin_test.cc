// The library's entry points: options as text and as a struct, each mistake named.

#include <cstdlib>
#include <string>
#include <vector>

#include "delegate/delegate.h"
#include "delegate/int8x_delegate.h"
#include "gtest/gtest.h"
#include "tests/tflite_host/host.h"
#include "tests/tflite_host/small_nets.h"

namespace int8x {
namespace {

std::string reported;
void report(const char* text) { reported = text; }

TfLiteDelegate* create(std::vector<std::pair<const char*, const char*>> options) {
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : options) {
    keys.push_back(key);
    values.push_back(value);
  }
  reported.clear();
  return tflite_plugin_create_delegate(keys.data(), values.data(), keys.size(), report);
}

void expect_refused(const char* key, const char* value, const std::string& part) {
  TfLiteDelegate* delegate = create({{key, value}});
  EXPECT_EQ(delegate, nullptr) << key << "=" << value;
  EXPECT_NE(reported.find(part), std::string::npos) << reported;
  EXPECT_NE(reported.find(key), std::string::npos) << reported;
  tflite_plugin_destroy_delegate(delegate);
}

TEST(Plugin, TakesNoOptionsAndAllOptions) {
  TfLiteDelegate* plain = create({});
  ASSERT_NE(plain, nullptr) << reported;
  tflite_plugin_destroy_delegate(plain);
  TfLiteDelegate* all = create({{"num_threads", "4"},
                                {"allow_ops", "CONV_2D, ADD"},
                                {"deny_ops", ""},
                                {"arch", "reference"},
                                {"profile", "True"},
                                {"sparse", "on"},
                                {"log_level", "silent"}});
  ASSERT_NE(all, nullptr) << reported;
  tflite_plugin_destroy_delegate(all);
  tflite_plugin_destroy_delegate(nullptr);
}

TEST(Plugin, NamesWhatIsWrong) {
  expect_refused("num_thread", "4", "unknown option");
  expect_refused("", "", "unknown option");
  for (const char* bad : {"0", "-2", "65", "four", "", "4x", "99999999999999999999"}) {
    expect_refused("num_threads", bad, std::string("got \"") + bad + "\"");
  }
  expect_refused("allow_ops", "CONV_2D,CONV2D", "\"CONV2D\"");
  expect_refused("deny_ops", "conv_2d", "known are CONV_2D");
  expect_refused("arch", "sse2", "got \"sse2\"");
  expect_refused("arch", "AVX2", "wants one of auto, reference");
  expect_refused("profile", "yes", "wants 0 or 1");
  expect_refused("sparse", "1", "wants auto, on or off; got \"1\"");
  expect_refused("log_level", "loud", "silent, warning or info");
}

TEST(Plugin, AnArchThatThisCpuLacksIsRefusedByName) {
  int lacking = 0;
  for (int a = 0; a < arch::kArchCount; ++a) {
    const auto arch = static_cast<arch::Arch>(a);
    if (arch::has(arch::supported(), arch)) continue;
    ++lacking;
    expect_refused("arch", arch::name(arch), "this CPU does not have");
  }
  EXPECT_GT(lacking, 0);  // no CPU has both x86's and Arm's
}

TEST(Plugin, TheEnvironmentForcesAnArchUnlessTheOptionDoes) {
  setenv("INT8X_ARCH", "bogus", 1);
  EXPECT_EQ(create({}), nullptr);
  EXPECT_NE(reported.find("INT8X_ARCH"), std::string::npos) << reported;
  EXPECT_EQ(create({{"arch", "auto"}}), nullptr);
  TfLiteDelegate* forced = create({{"arch", "reference"}});
  EXPECT_NE(forced, nullptr) << reported;
  tflite_plugin_destroy_delegate(forced);
  setenv("INT8X_ARCH", "reference", 1);
  TfLiteDelegate* delegate = create({});
  ASSERT_NE(delegate, nullptr) << reported;
  char text[64];
  Int8xDelegateDescribe(delegate, text, sizeof text);
  EXPECT_NE(std::string(text).find("\"arch\":\"reference\""), std::string::npos) << text;
  tflite_plugin_destroy_delegate(delegate);
  unsetenv("INT8X_ARCH");
}

TEST(Plugin, NullsAreErrorsNotCrashes) {
  const char* key = "arch";
  EXPECT_EQ(tflite_plugin_create_delegate(nullptr, nullptr, 1, report), nullptr);
  EXPECT_EQ(tflite_plugin_create_delegate(&key, nullptr, 1, nullptr), nullptr);
  const char* none = nullptr;
  reported.clear();
  EXPECT_EQ(tflite_plugin_create_delegate(&key, &none, 1, report), nullptr);
  EXPECT_NE(reported, "");
}

TEST(Plugin, TheCInterfaceTakesTheSameOptions) {
  Int8xDelegateOptions options = Int8xDelegateOptionsDefault();
  TfLiteDelegate* delegate = Int8xDelegateCreate(&options, report);
  ASSERT_NE(delegate, nullptr) << reported;
  Int8xDelegateDelete(delegate);
  Int8xDelegateDelete(nullptr);
  options.num_threads = 0;
  EXPECT_EQ(Int8xDelegateCreate(&options, report), nullptr);
  EXPECT_NE(reported.find("num_threads"), std::string::npos) << reported;
  options = Int8xDelegateOptionsDefault();
  options.profile = 7;
  EXPECT_EQ(Int8xDelegateCreate(&options, report), nullptr);
}

TEST(Plugin, DescribeSaysHowMuchRoomItNeedsAndCutsWhatDoesNotFit) {
  TfLiteDelegate* delegate = create({});
  ASSERT_NE(delegate, nullptr);
  const size_t needed = Int8xDelegateDescribe(delegate, nullptr, 0);
  std::vector<char> whole(needed), part(10);
  EXPECT_EQ(Int8xDelegateDescribe(delegate, whole.data(), whole.size()), needed);
  EXPECT_EQ(std::string(whole.data()).size() + 1, needed);
  EXPECT_EQ(Int8xDelegateDescribe(delegate, part.data(), part.size()), needed);
  EXPECT_EQ(std::string(part.data()), std::string(whole.data()).substr(0, 9));
  EXPECT_EQ(Int8xDelegateDescribe(nullptr, part.data(), part.size()), 0u);
  tflite_plugin_destroy_delegate(delegate);
}

TEST(Plugin, AllowAndDenyChooseOperators) {
  const struct {
    const char *key, *value;
    std::vector<int> taken;  // of CONV_2D, RELU6, ADD
  } cases[] = {
      {"allow_ops", "CONV_2D", {0}},
      {"allow_ops", "ADD,RELU6", {1, 2}},
      {"deny_ops", "RELU6", {0, 2}},
      {"deny_ops", "CONV_2D,RELU6,ADD", {}},
  };
  for (const auto& c : cases) {
    TfLiteDelegate* delegate = create({{c.key, c.value}});
    ASSERT_NE(delegate, nullptr) << reported;
    {
      host::Host h;
      host::conv_relu_add(&h, 4, 4);
      ASSERT_EQ(h.apply(delegate), kTfLiteOk);
      EXPECT_EQ(h.taken(), c.taken) << c.key << "=" << c.value;
    }
    tflite_plugin_destroy_delegate(delegate);
  }
}

}  // namespace
}  // namespace int8x
