/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver/gpio.h"
#include "driver/spi_master.h"
#include "esp_check.h"
#include "esp_eth.h"
#include "esp_idf_version.h"
#include "esp_mac.h"
#include "ethernet_driver.h"
#include "sdkconfig.h"

/* Since ESP-IDF 6.0 the drivers of single Ethernet chips are managed components. */
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
#include "esp_eth_mac_w5500.h"
#include "esp_eth_phy_w5500.h"
#endif

static const char *TAG = "network";

static esp_err_t open_bus(void)
{
    const spi_bus_config_t bus = {
        .sclk_io_num = CONFIG_CERT_APP_W5500_SCLK_GPIO,
        .mosi_io_num = CONFIG_CERT_APP_W5500_MOSI_GPIO,
        .miso_io_num = CONFIG_CERT_APP_W5500_MISO_GPIO,
        .quadwp_io_num = -1,
        .quadhd_io_num = -1,
    };
    esp_err_t error = gpio_install_isr_service(0);
    ESP_RETURN_ON_FALSE(error == ESP_OK || error == ESP_ERR_INVALID_STATE, error, TAG, "GPIO interrupts");
    return spi_bus_initialize(SPI2_HOST, &bus, SPI_DMA_CH_AUTO);
}

esp_err_t ethernet_driver_install(esp_eth_handle_t *driver)
{
    ESP_RETURN_ON_ERROR(open_bus(), TAG, "SPI bus");
    spi_device_interface_config_t device = {
        .clock_speed_hz = CONFIG_CERT_APP_W5500_CLOCK_MHZ * 1000 * 1000,
        .spics_io_num = CONFIG_CERT_APP_W5500_CS_GPIO,
        .queue_size = 20,
    };
    eth_w5500_config_t w5500_config = ETH_W5500_DEFAULT_CONFIG(SPI2_HOST, &device);
    w5500_config.int_gpio_num = CONFIG_CERT_APP_W5500_INT_GPIO;
    const eth_mac_config_t mac_config = ETH_MAC_DEFAULT_CONFIG();
    eth_phy_config_t phy_config = ETH_PHY_DEFAULT_CONFIG();
    phy_config.reset_gpio_num = CONFIG_CERT_APP_ETH_PHY_RESET_GPIO;
    esp_eth_mac_t *mac = esp_eth_mac_new_w5500(&w5500_config, &mac_config);
    esp_eth_phy_t *phy = esp_eth_phy_new_w5500(&phy_config);
    ESP_RETURN_ON_FALSE(mac != NULL && phy != NULL, ESP_ERR_NO_MEM, TAG, "Ethernet MAC and PHY");
    const esp_eth_config_t config = ETH_DEFAULT_CONFIG(mac, phy);
    ESP_RETURN_ON_ERROR(esp_eth_driver_install(&config, driver), TAG, "W5500 on SPI");
    /* The W5500 comes without an address of its own. */
    uint8_t address[6];
    ESP_RETURN_ON_ERROR(esp_read_mac(address, ESP_MAC_ETH), TAG, "Ethernet address");
    return esp_eth_ioctl(*driver, ETH_CMD_S_MAC_ADDR, address);
}
