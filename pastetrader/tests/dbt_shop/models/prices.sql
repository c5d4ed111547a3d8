{{ config(materialized="view") }}

select symbol, price::numeric as price

from {{ ref("raw_prices") }}
