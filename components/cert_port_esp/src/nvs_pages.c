/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * A page of NVS is a header, a table of two bits for each entry, and 126 entries. Only entries are ever encrypted. An
 * item begins with an entry that has a checksum; its other entries are data.
 */
#include "nvs_pages.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "esp_check.h"
#include "esp_partition.h"
#include "esp_rom_crc.h"

#define PAGE_SIZE 4096u
#define TABLE_OFFSET 32u
#define ENTRIES_OFFSET 64u
#define ENTRY_COUNT 126u
#define ENTRY_WRITTEN 2u

/* Bits of a page's state are cleared one after the other. */
#define PAGE_ACTIVE 0xFFFFFFFEu
#define PAGE_FULL 0xFFFFFFFCu
#define PAGE_FREEING 0xFFFFFFF8u

typedef struct {
    uint32_t state;
    uint8_t summed[24]; /* sequence number, version, unused */
    uint32_t crc;
} page_header_t;

typedef struct {
    uint8_t head[4]; /* namespace, type, span, chunk */
    uint32_t crc;
    uint8_t key_and_data[24];
} item_t;

static_assert(sizeof(page_header_t) == NVS_ENTRY_SIZE && sizeof(item_t) == NVS_ENTRY_SIZE, "as on the flash");

typedef struct {
    const esp_partition_t *partition;
    nvs_decrypt_t decrypt;
    const void *key;
} survey_t;

static const char *TAG = "cert_agent";

static bool is_item(const item_t *item)
{
    uint32_t crc = esp_rom_crc32_le(UINT32_MAX, item->head, sizeof(item->head));
    return item->crc == esp_rom_crc32_le(crc, item->key_and_data, sizeof(item->key_and_data));
}

static bool is_in_use(const page_header_t *header)
{
    bool has_entries = header->state == PAGE_ACTIVE || header->state == PAGE_FULL || header->state == PAGE_FREEING;
    return has_entries && header->crc == esp_rom_crc32_le(UINT32_MAX, header->summed, sizeof(header->summed));
}

static bool is_erased(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != UINT8_MAX) {
            return false;
        }
    }
    return true;
}

/* A page that NVS would erase: whether there is more in it than a header that a loss of power has cut short. */
static esp_err_t survey_unused(const survey_t *survey, uint32_t page, nvs_pages_t *found)
{
    uint8_t block[NVS_ENTRY_SIZE];
    *found = NVS_PAGES_EMPTY;
    for (uint32_t offset = TABLE_OFFSET; offset < PAGE_SIZE && *found == NVS_PAGES_EMPTY; offset += sizeof(block)) {
        ESP_RETURN_ON_ERROR(esp_partition_read_raw(survey->partition, page + offset, block, sizeof(block)), TAG,
                            "flash cannot be read");
        *found = is_erased(block, sizeof(block)) ? NVS_PAGES_EMPTY : NVS_PAGES_FOREIGN;
    }
    return ESP_OK;
}

static esp_err_t survey_entry(const survey_t *survey, uint32_t offset, nvs_pages_t *found)
{
    item_t item;
    ESP_RETURN_ON_ERROR(esp_partition_read_raw(survey->partition, offset, &item, sizeof(item)), TAG,
                        "flash cannot be read");
    bool is_plain = survey->decrypt == NULL || survey->decrypt(survey->key, offset, (uint8_t *)&item);
    ESP_RETURN_ON_FALSE(is_plain, ESP_FAIL, TAG, "an NVS entry cannot be decrypted");
    *found = is_item(&item) ? NVS_PAGES_READABLE : NVS_PAGES_FOREIGN;
    return ESP_OK;
}

static esp_err_t survey_entries(const survey_t *survey, uint32_t page, nvs_pages_t *found)
{
    uint8_t table[(ENTRY_COUNT + 3) / 4];
    *found = NVS_PAGES_EMPTY;
    ESP_RETURN_ON_ERROR(esp_partition_read_raw(survey->partition, page + TABLE_OFFSET, table, sizeof(table)), TAG,
                        "flash cannot be read");
    for (uint32_t i = 0; i < ENTRY_COUNT && *found != NVS_PAGES_READABLE; i++) {
        if (((table[i / 4] >> (i % 4 * 2)) & 3u) == ENTRY_WRITTEN) {
            ESP_RETURN_ON_ERROR(survey_entry(survey, page + ENTRIES_OFFSET + i * NVS_ENTRY_SIZE, found), TAG,
                                "page at 0x%x", (unsigned)page);
        }
    }
    return ESP_OK;
}

static esp_err_t survey_page(const survey_t *survey, uint32_t page, nvs_pages_t *found)
{
    page_header_t header;
    ESP_RETURN_ON_ERROR(esp_partition_read_raw(survey->partition, page, &header, sizeof(header)), TAG,
                        "flash cannot be read");
    return is_in_use(&header) ? survey_entries(survey, page, found) : survey_unused(survey, page, found);
}

esp_err_t nvs_pages_survey(const char *partition, nvs_decrypt_t decrypt, const void *key, nvs_pages_t *found)
{
    const survey_t survey = {
        .partition = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, partition),
        .decrypt = decrypt,
        .key = key,
    };
    ESP_RETURN_ON_FALSE(survey.partition != NULL, ESP_ERR_NOT_FOUND, TAG, "there is no NVS partition %s", partition);
    *found = NVS_PAGES_EMPTY;
    for (uint32_t page = 0; page < survey.partition->size && *found != NVS_PAGES_READABLE; page += PAGE_SIZE) {
        nvs_pages_t here;
        ESP_RETURN_ON_ERROR(survey_page(&survey, page, &here), TAG, "partition %s", partition);
        *found = here != NVS_PAGES_EMPTY ? here : *found;
    }
    return ESP_OK;
}
