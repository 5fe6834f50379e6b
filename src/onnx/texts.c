#include "onnx/texts.h"

#include "base/memory.h"
#include "base/strings.h"

void *hd_onnx_texts_copy(const ProtobufCBinaryData *texts, size_t count)
{
    hd_string *views = hd_alloc_zero(count + 1, sizeof *views);
    for (size_t i = 0; views != NULL && i < count; i++) {
        views[i] = (hd_string){.data = (const char *)texts[i].data, .size = texts[i].len};
    }
    void *block = views == NULL ? NULL : hd_strings_copy(views, count);
    hd_free(views);
    return block;
}
