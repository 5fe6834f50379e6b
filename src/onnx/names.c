#include "onnx/names.h"

#include <string.h>

/* Bit `bit` of a text, of the first byte's highest on; behind its end all are 0. */
static unsigned int bit_of(const char *text, size_t length, size_t bit)
{
    size_t byte = (bit - 1) / 8;
    return bit == 0 || byte >= length ? 0 : (unsigned char)text[byte] >> (7 - (bit - 1) % 8) & 1u;
}

/* The only entry that can have this text. A link to a lower bit leads back up, to the entry that is
 * meant. */
static hd_onnx_name *closest(const hd_onnx_names *names, const char *text, size_t length)
{
    hd_onnx_name *at = names->first;
    size_t bit;
    do {
        bit = at->bit;
        at = at->next[bit_of(text, length, bit)];
    } while (at->bit > bit);
    return at;
}

hd_onnx_name *hd_onnx_names_find(const hd_onnx_names *names, const char *text)
{
    hd_onnx_name *found = names->first == NULL ? NULL : closest(names, text, strlen(text));
    return found != NULL && strcmp(found->text, text) == 0 ? found : NULL;
}

/* The first bit in which two different texts differ. */
static size_t first_difference(const char *a, const char *b)
{
    size_t byte = 0;
    while (a[byte] == b[byte]) {
        byte++;
    }
    unsigned int difference = (unsigned char)(a[byte] ^ b[byte]);
    size_t bit = 8 * byte + 1;
    for (; (difference & 0x80u) == 0; difference <<= 1) {
        bit++;
    }
    return bit;
}

hd_onnx_name *hd_onnx_names_put(hd_onnx_names *names, hd_region *region, const char *text)
{
    size_t length = strlen(text);
    hd_onnx_name *near = names->first == NULL ? NULL : closest(names, text, length);
    if (near != NULL && strcmp(near->text, text) == 0) {
        return near;
    }
    hd_onnx_name *made = hd_region_alloc(region, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    *made = (hd_onnx_name){.text = text, .next = {made, made}};
    if (near == NULL) {
        names->first = made; /* bit 0, which is 0 in every text */
        return made;
    }
    made->bit = first_difference(text, near->text);
    hd_onnx_name *above = names->first, *below = above->next[0];
    while (below->bit > above->bit && below->bit < made->bit) {
        above = below;
        below = below->next[bit_of(text, length, below->bit)];
    }
    made->next[bit_of(text, length, made->bit) ^ 1u] = below;
    above->next[bit_of(text, length, above->bit)] = made;
    return made;
}
