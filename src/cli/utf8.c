#include "cli/utf8.h"

size_t hd_utf8_length(const unsigned char *text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (text[0] < 0x80) {
        return 1;
    }
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc0 ? 2 : 0;
    if (length == 0 || text[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    uint32_t code = hd_utf8_decode(text, length);
    return code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)
               ? 0
               : length;
}

uint32_t hd_utf8_decode(const unsigned char *text, size_t length)
{
    uint32_t code = length == 1 ? text[0] : text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        code = code << 6 | (text[i] & 0x3f);
    }
    return code;
}
