/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "esp_check.h"
#include "esp_eth.h"
#include "esp_idf_version.h"
#include "ethernet_driver.h"

/* Any PHY driver does in QEMU; the two generations of ESP-IDF compile different ones without the ESP32's own MAC. */
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
#define new_phy esp_eth_phy_new_generic
#else
#define new_phy esp_eth_phy_new_dp83848
#endif

static const char *TAG = "network";

static esp_err_t (*s_set_link)(esp_eth_mac_t *mac, eth_link_t link);

/*
 * While there is no link ESP-IDF's driver disables the card. Enabled again, QEMU's card begins with the first of its
 * receive buffers, and the driver goes on where it was: for minutes hardly anything arrives. So the card stays enabled;
 * without a link QEMU has nothing for it.
 */
static esp_err_t set_link(esp_eth_mac_t *mac, eth_link_t link)
{
    return link == ETH_LINK_UP ? s_set_link(mac, link) : ESP_OK;
}

esp_err_t ethernet_driver_install(esp_eth_handle_t *driver)
{
    const eth_mac_config_t mac_config = ETH_MAC_DEFAULT_CONFIG();
    eth_phy_config_t phy_config = ETH_PHY_DEFAULT_CONFIG();
    phy_config.autonego_timeout_ms = 100; /* there is no other end */
    esp_eth_mac_t *mac = esp_eth_mac_new_openeth(&mac_config);
    esp_eth_phy_t *phy = new_phy(&phy_config);
    ESP_RETURN_ON_FALSE(mac != NULL && phy != NULL, ESP_ERR_NO_MEM, TAG, "Ethernet MAC and PHY");
    s_set_link = mac->set_link;
    mac->set_link = set_link;
    const esp_eth_config_t config = ETH_DEFAULT_CONFIG(mac, phy);
    return esp_eth_driver_install(&config, driver);
}
